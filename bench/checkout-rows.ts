/**
 * The rows that run only in a checkout, because they drive namespaces, routing daemons or the private switch
 * of the tests. Bundled as build/checkout-rows.js, which the published package leaves out.
 */
export { agentRestartRow, agentSingleRow, agentTableRow } from "./agent.ts";
export { bgpRow } from "./bgp.ts";
