// The page of a user with a session.

import { facts } from "./dom.js";
import { call } from "./http.js";
import { begin } from "./talk.js";

const { answers } = await call("GET", "/session").catch(() => ({ answers: 0 }));
facts.told = answers;
begin();
