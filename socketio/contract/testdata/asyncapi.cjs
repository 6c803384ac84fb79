// Prints "valid" when the AsyncAPI document given as the argument is, and the values {schema, value}
// of the second file fit its schemas; else the problems.
const fs = require("node:fs");
const Ajv = require("ajv");
const addFormats = require("ajv-formats");

const document = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const schema = require("@asyncapi/specs/schemas/3.0.0.json");
const ajv = new Ajv({ strict: false, meta: false, validateSchema: false, logger: false }); // the schema brings draft-07 along
addFormats(ajv);
const problems = [];
if (!ajv.validate(schema, document)) problems.push(...ajv.errors.map((e) => `${e.instancePath} ${e.message} ${JSON.stringify(e.params)}`));

function follow(value, path) {
  if (value === null || typeof value !== "object") return;
  if (typeof value.$ref === "string") {
    let target = document;
    for (const part of value.$ref.slice(2).split("/")) target = target?.[part];
    if (target === undefined) problems.push(`${path}: ${value.$ref} is nowhere`);
  }
  for (const [name, part] of Object.entries(value)) follow(part, `${path}/${name}`);
}
follow(document, "");

for (const [name, part] of Object.entries(document.components.schemas)) {
  try {
    new Ajv({ strict: false, validateFormats: false }).addSchema(document, "document").compile({ $ref: `document#/components/schemas/${name}` });
  } catch (error) {
    problems.push(`${name}: ${error.message}`);
  }
}
for (const { schema, value } of JSON.parse(fs.readFileSync(process.argv[3], "utf8"))) {
  const types = new Ajv({ strict: false, logger: false }).addSchema(document, "document");
  addFormats(types);
  const fits = types.compile({ $ref: `document#/components/schemas/${schema}` });
  if (!fits(value)) problems.push(`${schema}: ${JSON.stringify(fits.errors)} in ${JSON.stringify(value)}`);
}
console.log(problems.length ? problems.join("\n") : "valid");
