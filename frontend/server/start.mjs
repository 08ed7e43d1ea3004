/**
 * Starts the built page: FRONTEND_PORT (3000) on BIND_HOST (127.0.0.1).
 *
 * Sets X-Forwarded-For to the address of the connection before Next.js sees the request, unless the
 * peer is one of TRUSTED_PROXIES: sign-in limits count by that header, so a client must not write it.
 *
 * On SIGTERM or SIGINT no new request is taken, and what is still open SHUTDOWN_GRACE_SECONDS (3) later is
 * cut: a chat stream can last for minutes, its run goes on without it, and the page finds the answer again.
 */
import { subscribe } from "node:diagnostics_channel";
import { existsSync } from "node:fs";
import { BlockList, isIPv6 } from "node:net";
import { fileURLToPath } from "node:url";

const server = [new URL("./server.js", import.meta.url), new URL("../.next/standalone/server.js", import.meta.url)].find(
  (candidate) => existsSync(fileURLToPath(candidate)),
);
if (!server) {
  console.error("frontend: there is no build; run `npm run build` first.");
  process.exit(1);
}

/** @param {string} list comma-separated addresses and networks */
function trustedPeers(list) {
  const peers = new BlockList();
  for (const entry of list.split(",").map((part) => part.trim()).filter(Boolean)) {
    const [address = "", prefix] = entry.split("/");
    const family = isIPv6(address) ? "ipv6" : "ipv4";
    if (prefix) peers.addSubnet(address, Number(prefix), family);
    else peers.addAddress(address, family);
  }
  return peers;
}

const trusted = trustedPeers(process.env.TRUSTED_PROXIES ?? "");

subscribe("http.server.request.start", (message) => {
  const { request, socket } = /** @type {{request: import("node:http").IncomingMessage, socket: import("node:net").Socket}} */ (message);
  const peer = (socket.remoteAddress ?? "").replace(/^::ffff:/, "");
  if (!peer || trusted.check(peer, isIPv6(peer) ? "ipv6" : "ipv4")) return;
  request.headers["x-forwarded-for"] = peer;
});

const graceMs = Number(process.env.SHUTDOWN_GRACE_SECONDS ?? 3) * 1000;
for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => setTimeout(() => process.exit(0), graceMs));

process.env.PORT = process.env.FRONTEND_PORT ?? "3000";
process.env.HOSTNAME = process.env.BIND_HOST ?? "127.0.0.1";
await import(server.href);
