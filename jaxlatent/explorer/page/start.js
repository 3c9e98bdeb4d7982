import { openPage } from "./main.js";
import { ServerEngine } from "./server.js";

openPage(new ServerEngine());
