import type { NextConfig } from "next";

/** Build-time facts only: ports, addresses and keys are read from the environment when the server runs. */
const config: NextConfig = {
  output: "standalone",
  outputFileTracingRoot: import.meta.dirname,
  turbopack: { root: import.meta.dirname },
  poweredByHeader: false,
  reactStrictMode: true,
  // Request bodies pass through proxy.ts, which holds them in memory up to this size.
  experimental: { proxyClientMaxBodySize: "32mb" },
};

export default config;
