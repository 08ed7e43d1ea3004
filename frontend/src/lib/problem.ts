/** Failures of the API as the page shows them (RFC 9457). */

/** An answer that is not a success, or no answer at all (status 0). */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(message);
  }
}

function text(value: unknown): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function fallbackText(status: number): string {
  if (status === 401) return "Your session has ended. Sign in again.";
  if (status === 429) return "That was a lot at once. Wait a moment and try again.";
  if (status >= 500) return "The server could not do that just now. Try again in a moment.";
  return "That did not work.";
}

/** Reads the problem in an answer that failed; never raises. */
export async function problemOf(response: Response): Promise<ApiError> {
  let body: Record<string, unknown> = {};
  try {
    body = (await response.json()) as Record<string, unknown>;
  } catch {
    // No problem document: the status alone has to do.
  }
  const detail = text(body["detail"]) ?? text(body["title"]) ?? fallbackText(response.status);
  const retryAfter = Number(response.headers.get("retry-after"));
  return new ApiError(response.status, text(body["code"]) ?? "unknown", detail, retryAfter > 0 ? retryAfter : null);
}

/** Sends a request and raises `ApiError` for anything but success. */
export async function request(path: string, init?: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (init?.signal?.aborted) throw error;
    throw new ApiError(0, "offline", "The server could not be reached. Check your connection.");
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}
