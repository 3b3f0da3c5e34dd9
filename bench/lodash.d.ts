/** lodash is only handed on to `benchmark`; nothing of it is called here. */
declare module "lodash" {
  const lodash: object;
  export default lodash;
}
