/**
 * Small pairs of which a verdict was wrong once, or would be in a prover that forgets one thing, judged by
 * the switch: by name, with the verdict.
 */

export interface Kept {
  readonly name: string;
  readonly verdict: "equal" | "different";
  readonly groups?: readonly string[];
  readonly a: readonly string[];
  readonly b: readonly string[];
}

export const KEPT: readonly Kept[] = [
  {
    name: "a bucket ignores controller() with arguments",
    verdict: "equal",
    groups: ["group_id=1,type=all,bucket=actions=output:4,controller(reason=no_match)"],
    a: ["table=0,priority=9,ip actions=group:1"],
    b: ["table=0,priority=9,ip actions=output:4"],
  },
  {
    name: "controller alone in a bucket has the reason group",
    verdict: "different",
    groups: ["group_id=1,type=all,bucket=actions=controller"],
    a: ["table=0,priority=9,ip actions=group:1"],
    b: ["table=0,priority=9,ip actions=controller"],
  },
  {
    name: "a flow that matches all at priority 0 tells of a miss",
    verdict: "different",
    a: ["table=0,priority=0 actions=controller"],
    b: ["table=0,priority=1 actions=controller"],
  },
  {
    name: "userdata and controller ids are seen",
    verdict: "different",
    a: ["table=0,priority=9,ip actions=controller(id=5,userdata=01)"],
    b: ["table=0,priority=9,ip actions=controller(id=5,userdata=02)"],
  },
  {
    name: "a register that a packet-in carries",
    verdict: "different",
    a: ["table=0,priority=9,ip actions=set_field:1->reg3,controller"],
    b: ["table=0,priority=9,ip actions=set_field:2->reg3,controller"],
  },
  {
    name: "a tunnel id that comes in",
    verdict: "different",
    a: ["table=0,priority=9,tun_id=100 actions=output:1"],
    b: ["table=0,priority=9,tun_id=101 actions=output:1"],
  },
  {
    name: "a queue and a mark that go out",
    verdict: "different",
    a: ["table=0,priority=9,ip actions=set_queue:1,set_field:1->pkt_mark,output:2"],
    b: ["table=0,priority=9,ip actions=set_queue:2,set_field:1->pkt_mark,output:2"],
  },
  {
    name: "a port of any protocol written in a bucket",
    verdict: "equal",
    groups: ["group_id=1,type=all,bucket=actions=mod_tp_dst:9,output:4"],
    a: ["table=0,priority=9,udp actions=group:1"],
    b: ["table=0,priority=9,udp actions=set_field:9->udp_dst,output:4"],
  },
  {
    name: "targets of neighbour discovery",
    verdict: "different",
    a: ["table=0,priority=9,icmp6,icmp_type=135,icmp_code=0 actions=set_field:fc00::9->nd_target,output:4"],
    b: ["table=0,priority=9,icmp6,icmp_type=135,icmp_code=0 actions=set_field:fc00::10->nd_target,output:4"],
  },
];
