import type { NextConfig } from "next";

import { SECURITY_HEADERS } from "./src/server/content-security";

/** Build-time facts only: ports, addresses and keys are read from the environment when the server runs. */
const config: NextConfig = {
  output: "standalone",
  outputFileTracingRoot: import.meta.dirname,
  turbopack: { root: import.meta.dirname },
  poweredByHeader: false,
  reactStrictMode: true,
  // Request bodies pass through proxy.ts, which holds them in memory up to this size, before anybody asks whose they
  // are, and cuts the rest off. The gateway refuses them at half of it (its REQUEST_MAX_BYTES).
  experimental: { proxyClientMaxBodySize: "2mb" },
  // No page shows a picture that would have to be made smaller, so nobody can have one made.
  images: { unoptimized: true },
  // Those of a page view or of the running server's address are proxy.ts's.
  headers: async () => [
    { source: "/:path*", headers: Object.entries(SECURITY_HEADERS).map(([key, value]) => ({ key, value })) },
  ],
};

export default config;
