/** The integer types of AssemblyScript that assembly/abi.ts uses, for the host's type checker. */
declare type u32 = number;
