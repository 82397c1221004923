import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, symlinkSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { folder, step } from "./install.ts";
import type { Check, Peer } from "./peer.ts";
import { Stand } from "./stand.ts";

/** dockerd and what it runs on, and something to run. Taken apart in the cache, not installed: nothing of it starts by itself. */
const PACKAGES = ["docker.io", "containerd", "runc", "busybox-static"];
const LINES = 300;
/** Docker cuts lines at 16 KiB. */
const LONG = 40_000;

/** Docker's own daemon with its logging driver `fluentd`: over TCP and over a socket, with acknowledgements and through a kill. */
export const docker: Peer = {
  name: "docker",
  what: "the logging driver fluentd of a real dockerd sends to the fluent_forward receiver",
  async install() {
    if (process.getuid?.() !== 0) return "only root can run dockerd";
    const home = folder("docker");
    if (existsSync(join(home, "root", "bin", "busybox"))) return undefined;
    return (
      step("apt-get", ["update"]) ??
      step("apt-get", ["download", ...PACKAGES], { cwd: home }) ??
      step("sh", ["-c", "for each in *.deb; do dpkg -x $each root || exit 1; done"], { cwd: home })
    );
  },
  run,
};

/** A daemon with a directory of its own and no network, and a client of it. */
class Daemon {
  readonly #directory: string;
  readonly #env: NodeJS.ProcessEnv;
  #process: ChildProcess | undefined;

  constructor(directory: string) {
    this.#directory = directory;
    const root = join(folder("docker"), "root", "usr");
    const PATH = `${join(root, "bin")}:${join(root, "sbin")}:${process.env["PATH"]}`;
    this.#env = { ...process.env, PATH, DOCKER_HOST: `unix://${directory}/docker.sock` };
  }

  async start(): Promise<boolean> {
    const at = this.#directory;
    const places = ["--data-root", join(at, "data"), "--exec-root", join(at, "exec")];
    const rest = ["-H", `unix://${at}/docker.sock`, "--pidfile", join(at, "pid")];
    const network = ["--iptables=false", "--ip6tables=false", "--ip-masq=false", "--bridge=none"];
    const dockerd = join(folder("docker"), "root", "usr", "sbin", "dockerd");
    this.#process = spawn(dockerd, [...places, ...rest, ...network, "--storage-driver=vfs"], {
      env: this.#env,
      stdio: "ignore",
    });
    this.#process.on("error", () => {});
    for (const end = Date.now() + 30_000; Date.now() < end; await sleep(200))
      if (this.docker("version").isFine) return this.#import();
    return false;
  }

  docker(...args: readonly string[]) {
    const { status, stderr } = spawnSync("docker", args, {
      env: this.#env,
      encoding: "utf8",
      timeout: 120_000,
    });
    return { isFine: status === 0, stderr: String(stderr).slice(-300) };
  }

  /** Runs a shell with its output going to `address`. */
  shell(script: string, address: string, ...options: readonly string[]) {
    return this.docker(...this.#shell(script, address, options));
  }

  /** The same, without waiting for it. */
  begin(script: string, address: string, ...options: readonly string[]): ChildProcess {
    const args = this.#shell(script, address, options);
    return spawn("docker", args, { env: this.#env, stdio: "ignore" });
  }

  async stop(): Promise<void> {
    const ended = this.#process && once(this.#process, "exit");
    this.#process?.kill("SIGTERM");
    await ended;
  }

  #shell(script: string, address: string, options: readonly string[]): readonly string[] {
    const given = [`fluentd-address=${address}`, "tag=docker.worker.{{.Name}}", ...options];
    const logging = ["--log-driver", "fluentd", ...given.flatMap((one) => ["--log-opt", one])];
    return ["run", "--rm", "--network", "none", ...logging, "tiny", "/bin/sh", "-c", script];
  }

  #import(): boolean {
    const image = join(this.#directory, "image");
    mkdirSync(join(image, "bin"), { recursive: true });
    cpSync(join(folder("docker"), "root", "bin", "busybox"), join(image, "bin", "busybox"));
    symlinkSync("busybox", join(image, "bin", "sh"));
    const tar = join(this.#directory, "image.tar");
    const isPacked = spawnSync("tar", ["-C", image, "-cf", tar, "."]).status === 0;
    return isPacked && this.docker("import", tar, "tiny").isFine;
  }
}

async function run(check: Check): Promise<void> {
  const stand = await Stand.start();
  const directory = await mkdtemp(join(tmpdir(), "weir-docker-"));
  const daemon = new Daemon(directory);
  try {
    check("dockerd starts", await daemon.start());
    await plain(check, stand, daemon);
    await acknowledged(check, stand, daemon);
    await overSocket(check, stand, daemon);
    await killed(check, stand, daemon);
    await stand.end(check);
  } finally {
    await daemon.stop();
    await stand.remove();
    await rm(directory, { recursive: true, force: true });
  }
}

const count = (name: string, what = "count(*)") =>
  `SELECT ${what} FROM logs WHERE attributes LIKE '%docker.worker.%' AND message LIKE '${name} %'`;
const say = (name: string, lines = LINES) =>
  `i=0; while [ $i -lt ${lines} ]; do echo ${name} $i; i=$((i+1)); done`;

async function plain(check: Check, stand: Stand, daemon: Daemon): Promise<void> {
  const long = `x=long; while [ \${#x} -lt ${LONG} ]; do x="$x ${"y".repeat(99)}"; done; echo "$x"`;
  const ran = daemon.shell(`${say("plain")}; echo plain err >&2; ${long}`, stand.forward);
  check("a container runs with its output going to weir", ran.isFine, ran.stderr);
  await arrived(stand, count("plain"), LINES + 1);
  const rows = await stand.count(count("plain"));
  check("every line is a row", rows === LINES + 1, String(rows));
  const [row] = await stand.rows(`${count("plain", "attributes")} AND message = 'plain err'`);
  const said = String(row?.["attributes"]);
  check("with its container, source and tag", /"container_name":"\/\w+"/.test(said), said);
  check("… of standard error", said.includes('"source":"stderr"'), said);
  await arrived(stand, count("long"), 1);
  const [joined] = await stand.rows(count("long", "length(message) AS n, attributes"));
  const isWhole =
    Number(joined?.["n"]) >= LONG && !String(joined?.["attributes"]).includes("partial");
  check("a line of 40 KB is one row", isWhole, String(joined?.["n"]));
}

async function acknowledged(check: Check, stand: Stand, daemon: Daemon): Promise<void> {
  const options = ["fluentd-request-ack=true", "fluentd-sub-second-precision=true"];
  const ran = daemon.shell(say("acked"), stand.forward, ...options);
  check("with acknowledgements", ran.isFine, ran.stderr);
  const rows = await stand.count(count("acked", "count(DISTINCT time)"));
  check(
    "every line is a row when the container has ended, with a time of its own",
    rows > LINES / 2,
    String(rows),
  );
  const all = await stand.count(count("acked"));
  check("… and none is missing", all === LINES, String(all));
}

async function overSocket(check: Check, stand: Stand, daemon: Daemon): Promise<void> {
  const ran = daemon.shell(say("socket"), stand.forwardSocket);
  check("over a socket in the file system", ran.isFine, ran.stderr);
  await arrived(stand, count("socket"), LINES);
  const rows = await stand.count(count("socket"));
  check("every line is a row", rows === LINES, String(rows));
}

/**
 * The service is killed and started again while a container writes: its lines wait in dockerd. The container stays until they have arrived, as
 * dockerd gives up on the lines of one that has ended after 10 s.
 */
async function killed(check: Check, stand: Stand, daemon: Daemon): Promise<void> {
  const lines = 10 * LINES;
  const script = `${say("killed", lines)}; sleep 600`;
  const client = daemon.begin(script, stand.forward, "fluentd-request-ack=true");
  const ended = once(client, "exit");
  await arrived(stand, count("killed"), 50);
  await stand.service.kill("SIGKILL");
  await stand.service.start();
  await arrived(stand, count("killed"), lines);
  const rows = await stand.count(count("killed"));
  check("through a kill of the service: every line is a row, once", rows === lines, String(rows));
  client.kill("SIGKILL");
  await ended;
}

async function arrived(stand: Stand, query: string, rows: number): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; await sleep(100))
    if ((await stand.count(query)) >= rows) return;
}
