import { SignJWT } from "jose";
import { describe, expect, it } from "vitest";

import { sessionKey, TokenCache } from "./session-tokens";

const START = 1_700_000_000_000;

class Clock {
  now = START;
}

function token(lifeSeconds: number): Promise<string> {
  return new SignJWT({}).setProtectedHeader({ alg: "HS256" }).setExpirationTime(START / 1000 + lifeSeconds).sign(new Uint8Array(32));
}

function cacheWith(clock: Clock, size = 10, maxAgeMs = 60_000) {
  return new TokenCache(size, maxAgeMs, () => clock.now);
}

function counted(make: () => Promise<string | null>) {
  const load = async () => {
    load.calls += 1;
    return make();
  };
  load.calls = 0;
  return load;
}

describe("session tokens", () => {
  it("are made once for requests at the same moment", async () => {
    const load = counted(() => token(900));
    const cache = cacheWith(new Clock());
    await Promise.all([cache.get("a", load), cache.get("a", load), cache.get("a", load)]);
    expect(load.calls).toBe(1);
  });

  it("are used for no longer than the setting says", async () => {
    const clock = new Clock();
    const load = counted(() => token(900));
    const cache = cacheWith(clock);
    await cache.get("a", load);
    clock.now += 59_000;
    await cache.get("a", load);
    expect(load.calls).toBe(1);
    clock.now += 2_000;
    await cache.get("a", load);
    expect(load.calls).toBe(2);
  });

  it("are not used shortly before they expire", async () => {
    const clock = new Clock();
    const load = counted(() => token(40));
    const cache = cacheWith(clock);
    await cache.get("a", load);
    clock.now += 11_000;
    await cache.get("a", load);
    expect(load.calls).toBe(2);
  });

  it("are forgotten when the session ends, and missing ones are not kept", async () => {
    const cache = cacheWith(new Clock());
    const load = counted(() => token(900));
    await cache.get("a", load);
    cache.forget("a");
    await cache.get("a", load);
    expect(load.calls).toBe(2);
    const nobody = counted(async () => null);
    await cache.get("b", nobody);
    await cache.get("b", nobody);
    expect(nobody.calls).toBe(2);
  });

  it("do not outlive an error", async () => {
    const cache = cacheWith(new Clock());
    await expect(cache.get("a", () => Promise.reject(new Error("database")))).rejects.toThrow("database");
    expect(await cache.get("a", () => token(900))).toBeTypeOf("string");
  });

  it("are bounded in number, and the oldest goes first", async () => {
    const cache = cacheWith(new Clock(), 2);
    const load = counted(() => token(900));
    for (const key of ["a", "b", "c"]) await cache.get(key, load);
    await cache.get("b", load);
    expect(load.calls).toBe(3);
    await cache.get("a", load);
    expect(load.calls).toBe(4);
  });
});

describe("the key of a session", () => {
  const NAME = "better-auth.session_token";
  const key = (cookie: string) => sessionKey(new Headers({ cookie }));

  it("is the same whatever other cookies there are", () => {
    expect(key(`${NAME}=mine`)).toBeTypeOf("string");
    expect(key(`theme=dark; ${NAME}=mine; x=1`)).toBe(key(`${NAME}=mine`));
    expect(key(`theme=dark; not-${NAME}=mine`)).toBeNull();
  });

  it.each([
    ["before it", `${NAME}=planted; ${NAME}=mine`],
    ["after it", `${NAME}=mine; ${NAME}=planted`],
    ["without the prefix", `${NAME}=planted; __Secure-${NAME}=mine`],
    ["with the prefix", `${NAME}=mine; __Secure-${NAME}=planted`],
    ["behind a quotation mark", `x="; ${NAME}=planted; ${NAME}=mine`],
  ])("is not known to who has planted a cookie %s", (_, cookie) => {
    for (const name of [NAME, `__Secure-${NAME}`]) expect(key(cookie)).not.toBe(key(`${name}=planted`));
  });
});
