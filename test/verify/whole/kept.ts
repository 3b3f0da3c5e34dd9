/**
 * Small pairs that were answered wrongly once, or would be by a prover that forgets one thing: by name, with
 * the answer.
 */
import type { Protocol } from "../../../src/openflow/index.ts";

export interface Kept {
  readonly name: string;
  readonly a: string;
  readonly b: string;
  readonly groups?: string;
  /** OpenFlow13 unless something is said. */
  readonly protocol?: Protocol;
  readonly verdict: "equal" | "different" | "unknown";
  /** What is left open; nothing else may be. */
  readonly open?: readonly string[];
}

const routes = (actions: (n: number) => string): string =>
  Array.from({ length: 12 }, (_, n) => `ip,nw_dst=10.0.0.${n + 1} actions=${actions(n + 1)}`).join("\n");

const AGAIN = "push_mpls:0x8847,pop_mpls:0x0800,resubmit(,1)";

export const KEPT: readonly Kept[] = [
  {
    name: "rows behind an enqueue, which is three steps",
    a: routes(n => `enqueue:1:${n},output:${n}`),
    b: routes(n => `set_queue:${n},output:1,pop_queue,output:${n}`),
    verdict: "equal",
  },
  {
    name: "rows behind an enqueue that put out by other ports",
    a: routes(n => `enqueue:40:1,output:${n}`),
    b: routes(n => `enqueue:40:1,output:${n === 7 ? 8 : n}`),
    verdict: "different",
  },
  {
    name: "rows in a clone behind an enqueue",
    a: routes(n => `clone(enqueue:40:1,set_field:02:00:00:00:00:${10 + n}->eth_dst,output:41),output:${n}`),
    b: routes(n => `clone(enqueue:40:1,mod_dl_dst:02:00:00:00:00:${10 + n},output:41),output:${n}`),
    verdict: "equal",
  },
  {
    name: "writes before a recirculation persist",
    a: `ip actions=set_field:192.0.2.1->nw_dst,${AGAIN}\ntable=1 actions=output:1`,
    b: `ip actions=${AGAIN}\ntable=1 actions=output:1`,
    verdict: "different",
  },
  {
    name: "a packet is recirculated six times, and not a seventh time",
    a: `ip actions=${AGAIN}\n${[1, 2, 3, 4, 5, 6].map(n => `table=${n} actions=push_mpls:0x8847,pop_mpls:0x0800,resubmit(,${n + 1})`).join("\n")}\ntable=7 actions=output:1`,
    b: "actions=drop",
    verdict: "equal",
  },
  {
    name: "packets recirculated one beside the other do not add up to a limit",
    a: `ip actions=group:1\ntable=1 actions=output:1`,
    b: "ip actions=drop",
    groups: `group_id=1,type=all${",bucket=actions=push_mpls:0x8847,pop_mpls:0x0800,resubmit(,1)".repeat(8)}`,
    verdict: "different",
  },
  {
    name: "a clone that is frozen ends all",
    a: "mpls,mpls_bos=1 actions=clone(pop_mpls:0x0800,dec_ttl,output:1),output:2",
    b: "mpls,mpls_bos=1 actions=clone(pop_mpls:0x0800,dec_ttl,output:1)",
    verdict: "equal",
  },
  {
    name: "a clone that ends everything is not copied, wherever the list stands that it ends",
    a: "mpls actions=group:1\ntable=1,mpls actions=clone(output(port=1,max_len=60),pop_mpls:0x8847)",
    b: "mpls actions=output(port=1,max_len=60),pop_mpls:0x8847",
    groups: "group_id=1,type=indirect,bucket=actions=resubmit(,1)",
    verdict: "equal",
  },
  {
    name: "a clone that ends everything is not copied",
    a: "mpls actions=resubmit(,1)\ntable=1,mpls actions=clone(output(port=1,max_len=60),pop_mpls:0x8847)",
    b: "mpls actions=output(port=1,max_len=60),pop_mpls:0x8847",
    verdict: "equal",
  },
  {
    name: "a clone that something comes behind is copied, and cannot pop a fourth label",
    a: "mpls actions=clone(output(port=1,max_len=60),pop_mpls:0x8847),note:01",
    b: "priority=7,mpls actions=output(port=1,max_len=60)",
    verdict: "unknown",
    open: ["a pop_mpls that makes Open vSwitch end itself"],
  },
  {
    name: "frames and packet-ins are each in their order, and in none together",
    a: "actions=output:1,controller,output:2",
    b: "actions=controller,output:1,output:2",
    verdict: "equal",
  },
  {
    name: "a tag without its presence bit is not popped, and what is behind it stays",
    a: "dl_vlan=5 actions=push_vlan:0x8100,load:0->NXM_OF_VLAN_TCI[12],pop_vlan,output:1",
    b: "dl_vlan=5 actions=push_vlan:0x8100,load:0->NXM_OF_VLAN_TCI[12],output:1",
    protocol: "OpenFlow10",
    verdict: "equal",
  },
  {
    name: "a tag without its presence bit is no bytes, whatever else it holds",
    a: "actions=load:0->NXM_OF_VLAN_TCI[12],output:1",
    b: "actions=load:0->NXM_OF_VLAN_TCI[12],load:2->NXM_OF_VLAN_TCI[0..11],output:1",
    verdict: "equal",
  },
  {
    name: "a length is measured before tags come off",
    a: "dl_vlan=5 actions=pop_vlan,output:2,output(port=1,max_len=60)",
    b: "dl_vlan=5 actions=clone(pop_vlan,output:2),pop_vlan,output(port=1,max_len=60)",
    verdict: "equal",
  },
  {
    name: "a frame is cut before, or after, its tag comes off",
    a: "dl_vlan=5 actions=pop_vlan,output(port=1,max_len=60)",
    b: "dl_vlan=5 actions=pop_vlan,output:4,output(port=1,max_len=60)",
    verdict: "different",
  },
  {
    name: "a frame that ends within its tag is never cut",
    a: "actions=output(port=1,max_len=40)",
    b: "vlan_tci=0x0000,dl_type=0x88a8 actions=output:1",
    verdict: "different",
  },
  {
    name: "type bytes behind an LLC header lie elsewhere without a tag",
    a: "dl_vlan=5,ip actions=push_mpls:0x8847,pop_vlan,output:1",
    b: "dl_vlan=5,ip actions=pop_vlan,output:4,push_mpls:0x8847,output:1",
    verdict: "different",
    open: ["labels behind LLC/SNAP"],
  },
  {
    name: "an address of neighbour discovery that is there is written",
    a: "icmp6,icmp_type=135,icmp_code=0 actions=set_field:02:00:00:00:00:07->nd_sll,output:1",
    b: "icmp6,icmp_type=135,icmp_code=0 actions=output:1",
    verdict: "different",
    open: ["a neighbour discovery address that is not in the first option"],
  },
  {
    name: "a message of neighbour discovery with an address, which is in an option",
    a: "icmp6,icmp_type=136,icmp_code=0,nd_tll=02:00:00:00:00:02 actions=output:3",
    b: "",
    verdict: "different",
  },
  {
    name: "words that are the same, where an ordinary frame has different ones",
    a: "arp,arp_op=1 actions=move:NXM_OF_ARP_TPA[]->NXM_OF_ARP_SPA[],set_field:ff:ff:ff:ff:ff:ff->arp_tha,output:4",
    b: "arp,arp_op=1 actions=output:4",
    verdict: "different",
  },
  {
    name: "a packet that is read where labels still are",
    a: "dl_type=0x8848 actions=pop_mpls:0x86dd,resubmit(,2)\ntable=2 actions=output:2",
    b: "dl_type=0x8848 actions=pop_mpls:0x86dd,resubmit(,1),resubmit(,2)\ntable=1,ipv6 actions=dec_ttl\ntable=2 actions=output:2",
    verdict: "different",
    open: ["bytes that are extracted in more than one way"],
  },
  {
    name: "what is not executed behind an output that only one side has",
    a: "actions=output:2,ALL",
    b: "",
    verdict: "different",
    open: ["ALL"],
  },
  {
    name: "an ARP packet that may be cut short",
    a: "arp actions=set_field:2->arp_op,output:1",
    b: "priority=7,arp actions=set_field:2->arp_op,output:1",
    verdict: "unknown",
    open: ["a change to a header that is cut short"],
  },
  {
    name: "a label in front of a stack that holds entries of zeros",
    a: "actions=push_mpls:0x8847,output:1",
    b: "priority=7 actions=push_mpls:0x8847,output:2",
    verdict: "different",
    open: [],
  },
  {
    name: "what makes both switches end themselves is the same",
    a: "actions=push_mpls:0x8847,output:1",
    b: "priority=7 actions=push_mpls:0x8847,output:1",
    verdict: "equal",
  },
  {
    name: "an error in the third pass",
    a: `mpls,mpls_bos=1 actions=pop_mpls:0x0800,resubmit(,1)\ntable=1,ip actions=push_mpls:0x8847,pop_mpls:0x0800,resubmit(,2)\ntable=2,ip actions=output:1${",push_mpls:0x8847".repeat(4)}`,
    b: "",
    verdict: "unknown",
    open: ["an error after two recirculations"],
  },
  {
    name: "a change behind labels that are read as if there were no LLC header",
    a: "ip actions=group:1",
    b: "ip actions=group:1",
    groups: "group_id=1,type=all,bucket=actions=push_mpls:0x8847,controller,bucket=actions=dec_ttl,output:2",
    verdict: "unknown",
    open: ["a change to a header that the switch looks for elsewhere"],
  },
  {
    name: "an ARP operation that is read back as another one",
    a: `arp,arp_op=1 actions=set_field:255->arp_op,push_mpls:0x8847,pop_mpls:0x0806,resubmit(,1)\ntable=1,arp,arp_op=0 actions=output:1`,
    b: "",
    verdict: "unknown",
    open: ["recirculation with an ARP operation of 255"],
  },
  {
    name: "a bucket ignores controller() with arguments",
    a: "ip actions=group:1",
    b: "ip actions=controller(reason=no_match)",
    groups: "group_id=1,type=all,bucket=actions=controller(reason=no_match)",
    verdict: "different",
  },
  {
    name: "a bucket ignores what is no member of an action set",
    a: "ip actions=group:1",
    b: "ip actions=output:6",
    groups:
      "group_id=1,type=all,bucket=actions=output:6,controller(id=1),clone(output:3),learn(table=5,output:NXM_OF_IN_PORT[]),multipath(eth_src,0,modulo_n,1,0,NXM_NX_REG0[]),output:NXM_NX_REG1[],push:NXM_OF_ETH_SRC[],bucket=actions=controller(pause)",
    verdict: "equal",
  },
  {
    name: "what a bucket ends in that is not executed is open, what it ignores is not",
    a: "ip actions=group:1",
    b: "ip actions=output:2",
    groups:
      "group_id=1,type=all,bucket=actions=ct(table=4),output:2,bucket=actions=encap(ethernet),bucket=actions=ct_clear",
    verdict: "equal",
  },
  {
    name: "a port in a bucket is written to whatever protocol comes",
    a: "udp actions=group:1",
    b: "udp actions=set_field:9->udp_src,output:3",
    groups: "group_id=1,type=all,bucket=actions=mod_tp_src:9,output:3",
    verdict: "equal",
  },
  {
    name: "a packet-in from a bucket has a reason of its own",
    a: "ip actions=group:1",
    b: "ip actions=controller",
    groups: "group_id=1,type=all,bucket=actions=controller",
    verdict: "different",
  },
  {
    name: "a packet-in from an action set has a reason of its own",
    a: "ip actions=write_actions(controller)",
    b: "ip actions=controller",
    verdict: "different",
  },
  {
    name: "a table called from an action set tells as the action set does",
    a: "ip actions=write_actions(resubmit(,1))\ntable=1,ip actions=controller",
    b: "ip actions=write_actions(controller)",
    verdict: "equal",
  },
  {
    name: "a table called from a bucket tells as any other",
    a: "ip actions=group:1\ntable=1,ip actions=controller",
    b: "ip actions=controller",
    groups: "group_id=1,type=all,bucket=actions=resubmit(,1)",
    verdict: "equal",
  },
  {
    name: "a flow that matches everything at priority 0 tells of a miss",
    a: "priority=0 actions=controller",
    b: "priority=1 actions=controller",
    verdict: "different",
  },
  {
    name: "what tells of a miss in so many words",
    a: "priority=0 actions=resubmit(,1)\ntable=1,priority=0 actions=controller",
    b: "priority=1 actions=controller(reason=no_match)",
    verdict: "equal",
  },
  {
    name: "a list that is run behind a recirculation is nobody's",
    a: "mpls,mpls_bos=1 actions=group:1",
    b: "mpls,mpls_bos=1 actions=pop_mpls:0x0800,dec_ttl,controller",
    groups: "group_id=1,type=all,bucket=actions=pop_mpls:0x0800,dec_ttl,controller",
    verdict: "equal",
  },
  {
    name: "a target of neighbour discovery is written where a message has one",
    a: "icmp6,icmp_type=135,icmp_code=0 actions=set_field:fc00::9->nd_target,output:1",
    b: "icmp6,icmp_type=135,icmp_code=0 actions=set_field:fc00::10->nd_target,output:1",
    verdict: "different",
  },
  {
    name: "a target of neighbour discovery that is the one that came",
    a: "icmp6,icmp_type=136,icmp_code=0,nd_target=fc00::9 actions=set_field:fc00::9->nd_target,output:1",
    b: "icmp6,icmp_type=136,icmp_code=0,nd_target=fc00::9 actions=output:1",
    verdict: "equal",
  },
  {
    name: "an option that stands twice is read as none, and written to",
    a: "icmp6,icmp_type=135,icmp_code=0,nd_sll=00:00:00:00:00:00 actions=set_field:02:00:00:00:00:07->nd_sll,output:1",
    b: "icmp6,icmp_type=135,icmp_code=0,nd_sll=00:00:00:00:00:00 actions=output:1",
    verdict: "different",
    open: ["a neighbour discovery address that is not in the first option"],
  },
];
