/**
 * The two daemons of a private Open vSwitch, in a folder of their own, and what ends them: a small shell that holds the
 * read end of a pipe from us. When the pipe closes, because we closed it, ended, threw, or were killed with -9, the
 * shell kills exactly the two processes it started and removes the folder. No root, no kernel module, no network:
 * ovs-vswitchd(8) `--disable-system --enable-dummy`.
 */
import { UserError } from "../errors/index.ts";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/** The switch cannot be had, or refused something: one line for a person. */
export class SwitchError extends UserError {
  override readonly name = "SwitchError";
}

const PACKAGE = "Debian and Ubuntu: apt-get install openvswitch-switch";
const PROGRAMS = ["ovs-vswitchd", "ovsdb-server", "ovsdb-tool", "ovs-vsctl", "ovs-ofctl"];
/** The oldest series that its authors still cared for when 3.1 appeared, and the one the notes were measured on. */
const OLDEST = [2, 17] as const;
const SCHEMAS = ["/usr/share/openvswitch", "/usr/local/share/openvswitch"];
const START_MS = 60_000;
/** sockaddr_un.sun_path holds 108 bytes with its zero; the longest name in the folder is "vswitchd.ctl". */
const FOLDER_BYTES_MAX = 90;

/**
 * Arguments: folder, schema, fifos separated by spaces, then the words for ovs-vsctl. Says "made" when the fifos are
 * there and "ready PID PID" when the ports are. All else that it says is why it failed. The pipe is watched from the
 * first moment on: whoever is killed while the daemons start leaves nothing either.
 */
const SUPERVISOR = `
dir=$1 schema=$2 fifos=$3 started=
shift 3
end() {
  trap '' HUP INT TERM
  { kill -9 $started; wait; } 2>/dev/null
  cd / && rm -rf "$dir"
}
fail() {
  echo "$1 failed" >&2
  tail -qn 3 "$dir"/*.log >&2 2>/dev/null
  exit 1
}
trap end EXIT
trap 'exit 1' HUP INT TERM
# With nobody left to read what is said, the shell must live on to clean up.
trap '' PIPE
exec 3<&0
{ read -r _; kill -TERM $$; } <&3 &
watch=$! started=$!
mkdir -m 700 "$dir" && cd "$dir" && mkfifo $fifos || fail "making $dir"
echo made
quiet="-vconsole:off -vsyslog:off"
ovsdb-tool create conf.db "$schema" || fail ovsdb-tool
ovsdb-server $quiet conf.db "--remote=punix:$dir/db.sock" "--unixctl=$dir/ovsdb.ctl" "--log-file=$dir/db.log" &
db=$! started="$started $!"
# The socket is there a moment before anybody listens at it: hence --retry below.
until [ -S db.sock ]; do kill -0 $db 2>/dev/null || fail ovsdb-server; sleep 0.005; done
ovs-vswitchd $quiet "unix:$dir/db.sock" "--unixctl=$dir/vswitchd.ctl" "--log-file=$dir/vswitchd.log" \\
  --disable-system --enable-dummy &
vs=$! started="$started $!"
ovs-vsctl --retry --timeout=60 "--db=unix:$dir/db.sock" "$@" &
ctl=$! started="$started $!"
wait $ctl || fail ovs-vsctl
started="$watch $db $vs"
echo "ready $db $vs"
wait $watch
`;

export interface Daemons {
  /** Where sockets, database and logs lie. */
  folder: string;
  /** ovsdb-server, ovs-vswitchd. */
  pids: [number, number];
  /** As ovs-vswitchd prints it, such as "3.1.0". */
  version: string;
  env: NodeJS.ProcessEnv;
  /** Ends both daemons and removes the folder; resolves when that is done. */
  stop(): Promise<void>;
}

/**
 * PATH behind the `bin` of `programs`, and the sbin beside each of its bins: the daemons lie there, and an unprivileged
 * user's PATH often lacks it.
 */
function searchPath(programs: string | null): string {
  const folders = (process.env.PATH ?? "").split(delimiter).filter(folder => folder !== "");
  if (programs !== null) folders.unshift(join(programs, "bin"));
  const beside = folders
    .filter(folder => folder.endsWith("/bin"))
    .map(folder => `${folder.slice(0, -3)}sbin`);
  return [...folders, ...beside].join(delimiter);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs a program of the switch's and gives its standard output.
 * @throws SwitchError with what it wrote to standard error
 */
export function runProgram(
  program: string,
  words: readonly string[],
  env: NodeJS.ProcessEnv,
  input = "",
): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env, encoding: "utf8", maxBuffer: 2 ** 30 } as const;
    const child = execFile(program, words, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new SwitchError(stderr.trim() || `${program}: ${error.message}`));
    });
    // A program that refuses its input early closes the pipe; its message says why.
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}

/**
 * The version, such as "3.1.0", of the programs in `programs/bin`, which must all be there, or else on PATH. Throws a
 * SwitchError if there is none or it is too old.
 */
async function installedVersion(env: NodeJS.ProcessEnv, programs: string | null): Promise<string> {
  const folders = programs === null ? env.PATH!.split(delimiter) : [join(programs, "bin")];
  const missing = PROGRAMS.filter(program => !folders.some(folder => isExecutable(join(folder, program))));
  if (missing.length > 0 && programs !== null)
    throw new SwitchError(`${folders[0]}: no ${missing.join(", ")}`);
  if (missing.length > 0)
    throw new SwitchError(`Open vSwitch is not installed: no ${missing.join(", ")} (${PACKAGE})`);
  const text = await runProgram("ovs-vswitchd", ["--version"], env);
  const found = /(\d+)\.(\d+)\S*/.exec(text);
  if (found === null)
    throw new SwitchError(`ovs-vswitchd --version says "${text.trim()}", which is no version`);
  const [major, minor] = [Number(found[1]), Number(found[2])];
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return found[0];
  throw new SwitchError(`Open vSwitch ${found[0]} is too old: ${OLDEST.join(".")} or newer is needed`);
}

function schemaPath(programs: string | null): string {
  const usual = [process.env.OVS_PKGDATADIR ?? "", ...SCHEMAS].filter(folder => folder !== "");
  const folders = programs === null ? usual : [join(programs, "share", "openvswitch")];
  const files = folders.map(folder => join(folder, "vswitch.ovsschema"));
  const found = files.find(file => existsSync(file));
  if (found === undefined)
    throw new SwitchError(
      `no vswitch.ovsschema in ${folders.join(", ")}${programs === null ? ` (${PACKAGE})` : ""}`,
    );
  return found;
}

/** Resolves with the process ids on "ready"; rejects with the supervisor's words when it ends before. */
function whenReady(supervisor: ChildProcess, onMade: () => void): Promise<[number, number]> {
  return new Promise((resolve, reject) => {
    let said = "";
    let complaint = "";
    const timer = setTimeout(() => {
      supervisor.stdin?.end();
      reject(new SwitchError(`Open vSwitch did not start within ${START_MS / 1000} s`));
    }, START_MS);
    supervisor.stderr?.on("data", (chunk: Buffer) => {
      complaint += chunk;
    });
    supervisor.stdout?.on("data", (chunk: Buffer) => {
      const wasMade = said.includes("made\n");
      said += chunk;
      if (!wasMade && said.includes("made\n")) {
        try {
          onMade();
        } catch (error) {
          reject(error);
          supervisor.stdin?.end();
        }
      }
      const ready = /^ready (\d+) (\d+)$/m.exec(said);
      if (ready === null) return;
      clearTimeout(timer);
      resolve([Number(ready[1]), Number(ready[2])]);
    });
    supervisor.once("close", () => {
      clearTimeout(timer);
      const why = complaint.trim().split("\n").join("; ");
      reject(new SwitchError(`Open vSwitch did not start: ${why || "no reason was given"}`));
    });
  });
}

/** The last lines of ovs-vswitchd's log, for a message about its end. */
export function lastWords(folder: string): string {
  try {
    return readFileSync(join(folder, "vswitchd.log"), "utf8").trim().split("\n").slice(-2).join("; ");
  } catch {
    return "its log is gone";
  }
}

/**
 * Starts both daemons and configures them.
 * @param fifos names of fifos to make in the folder
 * @param onMade called with the folder when they are there; each must be opened for reading then, because the switch
 *   opens them for writing and waits
 * @param configuration words for ovs-vsctl, given the folder
 * @param programs a folder with another Open vSwitch in `bin` and `share/openvswitch`; null: the installed one
 * @throws SwitchError if Open vSwitch is missing, too old, or does not start
 */
export async function startDaemons(
  fifos: readonly string[],
  onMade: (folder: string) => void,
  configuration: (folder: string) => string[],
  programs: string | null,
): Promise<Daemons> {
  const folder = join(tmpdir(), `slash32-ovs-${randomBytes(6).toString("hex")}`);
  if (Buffer.byteLength(folder) > FOLDER_BYTES_MAX)
    throw new SwitchError(`${tmpdir()} is too long a path for unix sockets: set TMPDIR to a shorter one`);
  const dirs = { OVS_RUNDIR: folder, OVS_LOGDIR: folder, OVS_DBDIR: folder, OVS_SYSCONFDIR: folder };
  const env = { ...process.env, PATH: searchPath(programs), ...dirs };
  const version = await installedVersion(env, programs);
  const words = [folder, schemaPath(programs), fifos.join(" "), ...configuration(folder)];
  // A session of its own: Ctrl-C reaches us and not the shell, which then finds the pipe closed.
  const supervisor = spawn("sh", ["-c", SUPERVISOR, "slash32-switch", ...words], {
    env,
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
  });
  // It may be gone before we close the pipe; that is no error.
  supervisor.stdin.on("error", () => undefined);
  const gone = new Promise<void>(resolve => supervisor.once("exit", () => resolve()));
  const pids = await whenReady(supervisor, () => onMade(folder));
  supervisor.unref();
  for (const stream of [supervisor.stdin, supervisor.stdout, supervisor.stderr])
    (stream as unknown as { unref(): void }).unref();
  const stop = async (): Promise<void> => {
    supervisor.ref();
    supervisor.stdin.end();
    await gone;
  };
  return { folder, pids, version, env, stop };
}
