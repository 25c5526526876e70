// The service by HTTP: session cookie, the value that state-changing requests repeat, problems as errors.

/** An answer that is no success; problem holds the document the service sent. */
export class ServiceError extends Error {
  constructor(status, problem) {
    super(problem?.detail || `The service answered ${status}.`);
    this.status = status;
    this.problem = problem;
  }
}

let csrf = "";

async function send(method, path, body) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET") headers["X-Cacseg-Csrf"] = csrf;
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers,
      credentials: "same-origin",
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new ServiceError(0, { detail: "The service does not answer. Nothing was lost; try again in a moment." });
  }
  const json = (answer.headers.get("content-type") || "").includes("json");
  const content = json ? await answer.json() : null;
  if (!answer.ok) throw new ServiceError(answer.status, content);
  return content;
}

/** Sign in with a token, or find out who is signed in already. */
export async function session(token) {
  const found = token === undefined ? await send("GET", "/api/session") : await send("POST", "/api/session", { token });
  csrf = found.csrf;
  return found;
}

export async function leave() {
  await send("DELETE", "/api/session");
  csrf = "";
}

const of = (study) => `/api/studies/${encodeURIComponent(study)}`;

export const listStudies = (query) => send("GET", `/api/studies?${new URLSearchParams(query)}`);
export const readStudy = (study) => send("GET", of(study));
export const listFiles = (study, version) => send("GET", `${of(study)}/files?version=${version}`);
export const fileAddress = (study, name, version) =>
  `${of(study)}/files/${name.split("/").map(encodeURIComponent).join("/")}?version=${version}`;
export const volumeHeader = (study) => send("GET", `${of(study)}/volume.json`);
export const readReview = (study, version) =>
  send("GET", `${of(study)}/review${version === undefined ? "" : `?version=${version}`}`);
export const postReview = (study, action, body) => send("POST", `${of(study)}/review/${action}`, body);

/**
 * Load the voxels of a study.
 * @param {(share: number) => void} progress called with the share that has arrived, 0 to 1
 * @returns {Promise<Int16Array>}
 */
export async function loadVoxels(study, count, progress) {
  const answer = await fetch(`${of(study)}/volume`, { credentials: "same-origin" });
  if (!answer.ok) throw new ServiceError(answer.status, await answer.json().catch(() => null));
  const bytes = new Uint8Array(count * 2);
  let at = 0;
  const reader = answer.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (at + part.value.length > bytes.length) throw new ServiceError(0, { detail: "The voxels are more than announced." });
    bytes.set(part.value, at);
    at += part.value.length;
    progress(at / bytes.length);
  }
  if (at !== bytes.length) throw new ServiceError(0, { detail: "The voxels broke off; open the study again." });
  return new Int16Array(bytes.buffer);
}
