import protobuf from "protobufjs";

/** The oracle of DataKit's protobuf points: field numbers as its published point.proto has them, through protobufjs. */
const { root } = protobuf.parse(`
  syntax = "proto3";
  package point;
  message Any { string type_url = 1; bytes value = 2; }
  message BasicTypes { oneof x { int64 i = 1; uint64 u = 2; double f = 3; bool b = 4; bytes d = 5; string s = 6; } }
  message Array { repeated BasicTypes arr = 1; }
  message Map { map<string, BasicTypes> map = 1; }
  message Warn { string type = 1; string msg = 2; }
  message Field {
    string key = 1;
    oneof val { int64 i = 2; uint64 u = 3; double f = 4; bool b = 5; bytes d = 6; string s = 11; Any a = 7; }
    bool is_tag = 8;
    int32 type = 9;
    string unit = 10;
  }
  message PBPoint { string name = 1; repeated Field fields = 2; int64 time = 3; repeated Warn warns = 4; }
  message PBPoints { repeated PBPoint arr = 1; }
`);
const PBPoints = root.lookupType("point.PBPoints");

/** Bytes of `{arr: […]}`; 64-bit numbers as decimal strings, bytes in base64, `isTag` for is_tag. */
export function encodePoints(points: readonly object[]): Uint8Array {
  return PBPoints.encode(PBPoints.fromObject({ arr: points })).finish();
}

/** An `Any` around an Array or Map, for the member `a`. */
export function anyOf(kind: "Array" | "Map", content: object): object {
  const type = root.lookupType(`point.${kind}`);
  const value = Buffer.from(type.encode(type.fromObject(content)).finish()).toString("base64");
  return { typeUrl: `type.googleapis.com/point.${kind}`, value };
}
