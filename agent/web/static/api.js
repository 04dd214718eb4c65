/* Requests to the agent's API, below whatever path the page has. Never throws: what went wrong is in `error`. */

const AWAY = "The agent cannot be reached; what you typed is still here";
const LOGIN = "Your login has ended: log in again in another tab (Back to the page), then try again; what you typed is still here";

/* {status, ...answer}; `body` is sent as JSON. */
export async function call(path, { method = "GET", body, headers = {} } = {}) {
  let answer;
  try {
    answer = await fetch(new URL(`../api/${path}`, import.meta.url), {
      method,
      headers: body === undefined ? headers : { "Content-Type": "application/json", ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    return { status: 0, error: AWAY };
  }
  if (answer.status === 401) return { status: 401, error: LOGIN };
  try {
    return { status: answer.status, ...(await answer.json()) };
  } catch {
    return { status: answer.status, error: `The answer (${answer.status}) is not the agent's; is a proxy in between?` };
  }
}
