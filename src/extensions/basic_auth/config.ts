import { z } from "zod";
import { duration, secret } from "../../config/blocks.ts";
import { readText } from "../../kit/tls/file-watch.ts";
import { parseHtpasswd } from "./htpasswd.ts";

const htpasswd = z
  .strictObject({
    file: z.string().min(1).optional().describe("File as `htpasswd` writes it."),
    inline: secret("The same lines as text, `user:password hash`; they win over the file's."),
    reload_interval: duration("How often the file is looked at; 0s: never.", "1s"),
  })
  .superRefine((given, context) => {
    const issue = (path: string, message: string) =>
      context.addIssue({ code: "custom", path: [path], message });
    const inline = parseHtpasswd(given.inline.reveal());
    if (typeof inline === "string") issue("inline", inline);
    if (given.file === undefined && given.inline.reveal().trim() === "")
      issue("inline", "no users: set file, inline or both");
    const read = given.file === undefined ? "" : tryRead(given.file);
    if (typeof read !== "string") return issue("file", read.why);
    const users = parseHtpasswd(read);
    if (typeof users === "string") issue("file", users);
  })
  .optional()
  .describe("For receivers: who may send.");

const clientAuth = z
  .strictObject({
    username: z.string().default("").describe("User name."),
    password: secret("Password."),
    username_file: z.string().min(1).optional().describe("File with the user name, instead."),
    password_file: z.string().min(1).optional().describe("File with the password, instead."),
    reload_interval: duration("How often the files are looked at; 0s: never.", "1s"),
  })
  .superRefine((given, context) => {
    const issue = (path: string, message: string) =>
      context.addIssue({ code: "custom", path: [path], message });
    if (given.username === "" && given.username_file === undefined)
      issue("username", "set username or username_file");
    for (const option of ["username_file", "password_file"] as const) {
      const path = given[option];
      const read = path === undefined ? "" : tryRead(path);
      if (typeof read !== "string") issue(option, read.why);
    }
    if (given.username.includes(":")) issue("username", "a user name cannot hold a colon");
  })
  .optional()
  .describe("For exporters: as whom to send.");

export const config = z
  .strictObject({ htpasswd, client_auth: clientAuth })
  .superRefine((given, context) => {
    if (given.htpasswd === undefined && given.client_auth === undefined)
      context.addIssue({
        code: "custom",
        path: [],
        message: "set htpasswd (for receivers) or client_auth (for exporters)",
      });
  });
export type Config = z.output<typeof config>;

/** A file's text; or why there is none. */
function tryRead(path: string): string | { readonly why: string } {
  try {
    return readText(path);
  } catch (reason) {
    return { why: reason instanceof Error ? reason.message : String(reason) };
  }
}
