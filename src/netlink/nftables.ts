// nf_tables over NETLINK_NETFILTER (linux/netfilter/nf_tables.h, nfnetlink.h): tables, chains, rules, sets and their
// elements of the family ip. Changes go in one transaction: all of them or none.
import { parseAddress } from './address.ts';
import { data, type Expression, nest, type SetReference } from './expressions.ts';
import {
  type Attribute,
  attribute,
  decodeAttributes,
  decodeText,
  type Message,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_DUMP,
  type ReceivedMessage,
} from './message.ts';
import { acknowledgeLast } from './program.ts';

// linux/netfilter/nfnetlink.h
const NFNL_SUBSYS_NFTABLES = 10;
const NFNL_MSG_BATCH_BEGIN = 16;
const NFNL_MSG_BATCH_END = 17;
const NFPROTO_IPV4 = 2;
// enum nf_tables_msg_types, with the subsystem in the upper byte
const subsystem = NFNL_SUBSYS_NFTABLES << 8;
const NFT_MSG_NEWTABLE = subsystem;
const NFT_MSG_DELTABLE = subsystem | 2;
const NFT_MSG_NEWCHAIN = subsystem | 3;
const NFT_MSG_GETCHAIN = subsystem | 4;
const NFT_MSG_NEWRULE = subsystem | 6;
const NFT_MSG_NEWSET = subsystem | 9;
const NFT_MSG_NEWSETELEM = subsystem | 12;
const NFT_MSG_DELSETELEM = subsystem | 14;
// enum nft_set_flags, nft_set_elem_flags
const NFT_SET_INTERVAL = 4;
const NFT_SET_MAP = 8;
const NFT_SET_CONCAT = 0x80;
const NFT_SET_ELEM_INTERVAL_END = 1;
// enum nft_set_elem_attributes, nft_set_elem_list_attributes
const NFTA_SET_ELEM_KEY = 1;
const NFTA_SET_ELEM_DATA = 2;
const NFTA_SET_ELEM_FLAGS = 3;
const NFTA_SET_ELEM_KEY_END = 10;
const NFTA_SET_ELEM_LIST_ELEMENTS = 3;

/** enum nf_inet_hooks (linux/netfilter.h); priorities by the names that nft(8) gives them. */
const hooks = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;
export const priorities = { dstnat: -100, filter: 0, srcnat: 100 } as const;

function message(type: number, flags: number, attributes: readonly Attribute[]): Message {
  return { type, flags, parts: [Uint8Array.of(NFPROTO_IPV4, 0, 0, 0), ...attributes] };
}

/** One transaction: carried out wholly or not at all. Its one acknowledgement comes after the commit. */
export function transaction(messages: readonly Message[]): Message[] {
  const mark = Uint8Array.of(0, 0, 0, NFNL_SUBSYS_NFTABLES); // struct nfgenmsg with res_id in network order
  return [
    { type: NFNL_MSG_BATCH_BEGIN, flags: 0, parts: [mark] },
    ...acknowledgeLast(messages),
    { type: NFNL_MSG_BATCH_END, flags: 0, parts: [mark] },
  ];
}

/** Makes a table; one that is there is left as it is. */
export function createTable(table: string): Message {
  return message(NFT_MSG_NEWTABLE, 0, [attribute.text(1, table), attribute.u32be(2, 0)]);
}

/** Removes a table with all in it; ENOENT if there is none. */
export function removeTable(table: string): Message {
  return message(NFT_MSG_DELTABLE, 0, [attribute.text(1, table)]);
}

export interface Chain {
  readonly table: string;
  readonly name: string;
  /** Absent: a chain to jump to. */
  readonly base?: { readonly type: 'filter' | 'nat'; readonly hook: keyof typeof hooks; readonly priority: number };
}

/** Makes a chain (policy accept); one that is there is left as it is. */
export function createChain({ table, name, base }: Chain): Message {
  const attributes = [attribute.text(1, table), attribute.text(3, name)];
  if (base !== undefined)
    attributes.push(
      attribute.text(7, base.type),
      attribute.u32be(5, 1),
      nest(4, [attribute.u32be(1, hooks[base.hook]), attribute.u32be(2, base.priority)]),
    );
  return message(NFT_MSG_NEWCHAIN, NLM_F_CREATE, attributes);
}

/** Adds a rule at the chain's end. */
export function addRule(table: string, chain: string, expressions: readonly Expression[]): Message {
  return message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, [
    attribute.text(1, table),
    attribute.text(2, chain),
    nest(4, expressions),
  ]);
}

/**
 * The types of a key's fields: their numbers and byte orders (1 the host's, 2 the network's) in nft(8), which are there for
 * `nft list` to print them right, and their lengths.
 */
const fields = {
  ipv4_addr: { type: 7, length: 4, order: 2 },
  inet_proto: { type: 12, length: 1, order: 2 },
  inet_service: { type: 13, length: 2, order: 2 },
  ifname: { type: 41, length: 16, order: 1 },
} as const;
type Field = keyof typeof fields;

export interface NamedSet extends SetReference {
  readonly table: string;
  /** More than one: a concatenation. */
  readonly key: readonly Field[];
  /** Of a map: what a lookup loads. */
  readonly value?: readonly Field[];
  /** Keys may be ranges. */
  readonly interval?: boolean;
}
type Value = string | number;
export interface Element {
  readonly key: readonly Value[];
  /** The last key of a range, itself within. */
  readonly last?: readonly Value[];
  readonly value?: readonly Value[];
}

function lengthOf(types: readonly Field[]): number {
  if (types.length === 1) return fields[types[0]!].length;
  return types.reduce((sum, type) => sum + ((fields[type].length + 3) & ~3), 0);
}

function typeOf(types: readonly Field[]): number {
  return types.reduce((sum, type) => (sum << 6) | fields[type].type, 0);
}

function encodeFields(types: readonly Field[], values: readonly Value[]): Uint8Array {
  const bytes = Buffer.alloc(lengthOf(types));
  let at = 0;
  for (const [index, type] of types.entries()) {
    const value = values[index]!;
    if (type === 'ipv4_addr') bytes.set(parseAddress(String(value)), at);
    else if (type === 'ifname') bytes.write(String(value), at, fields.ifname.length - 1);
    else bytes.writeUIntBE(Number(value), at, fields[type].length);
    at += (fields[type].length + 3) & ~3;
  }
  return bytes;
}

/** Makes a set or a map; one that is there is left as it is if it is the same. */
export function createSet(set: NamedSet): Message {
  const ranges = set.interval === true;
  const concatenated = ranges && set.key.length > 1;
  const flags =
    (ranges ? NFT_SET_INTERVAL : 0) | (set.value === undefined ? 0 : NFT_SET_MAP) | (concatenated ? NFT_SET_CONCAT : 0);
  const attributes = [
    attribute.text(1, set.table),
    attribute.text(2, set.name),
    attribute.u32be(3, flags),
    attribute.u32be(4, typeOf(set.key)),
    attribute.u32be(5, lengthOf(set.key)),
  ];
  if (set.value !== undefined)
    attributes.push(attribute.u32be(6, typeOf(set.value)), attribute.u32be(7, lengthOf(set.value)));
  attributes.push(attribute.u32be(10, set.id));
  if (concatenated)
    // NFTA_SET_DESC: NFTA_SET_DESC_CONCAT: a list of NFTA_SET_FIELD_LEN
    attributes.push(
      nest(9, [
        nest(
          2,
          set.key.map((type) => nest(1, [attribute.u32be(1, fields[type].length)])),
        ),
      ]),
    );
  // NFTA_SET_USERDATA, of nft(8) itself: type 0 (byte order of the key), length 4
  if (set.key.length === 1)
    attributes.push(attribute.bytes(13, Uint8Array.of(0, 4, fields[set.key[0]!].order, 0, 0, 0)));
  return message(NFT_MSG_NEWSET, NLM_F_CREATE, attributes);
}

export function addElements(set: NamedSet, elements: readonly Element[]): Message {
  return elementsMessage(NFT_MSG_NEWSETELEM, NLM_F_CREATE, set, elements);
}

/** Removes elements; ENOENT if one is not there. */
export function removeElements(set: NamedSet, elements: readonly Element[]): Message {
  return elementsMessage(NFT_MSG_DELSETELEM, 0, set, elements);
}

function elementsMessage(type: number, flags: number, set: NamedSet, elements: readonly Element[]): Message {
  const list = elements.flatMap((element) => elementParts(set, element));
  return message(type, flags, [
    attribute.text(1, set.table),
    attribute.text(2, set.name),
    ...(type === NFT_MSG_NEWSETELEM ? [attribute.u32be(4, set.id)] : []),
    nest(
      NFTA_SET_ELEM_LIST_ELEMENTS,
      list.map((parts, index) => nest(index + 1, parts)),
    ),
  ]);
}

/** A range of one field is two elements, its start and the key after it; a range of a concatenation has a KEY_END. */
function elementParts(set: NamedSet, { key, last, value }: Element): Attribute[][] {
  const parts = [data(NFTA_SET_ELEM_KEY, encodeFields(set.key, key))];
  if (last !== undefined && set.key.length > 1) parts.push(data(NFTA_SET_ELEM_KEY_END, encodeFields(set.key, last)));
  if (set.value !== undefined) parts.push(data(NFTA_SET_ELEM_DATA, encodeFields(set.value, value ?? [])));
  if (set.interval !== true || set.key.length > 1) return [parts];
  const end = encodeFields(set.key, last ?? key);
  increment(end);
  if (end.every((byte) => byte === 0)) return [parts]; // up to the last key there is: open
  return [parts, [attribute.u32be(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END), data(NFTA_SET_ELEM_KEY, end)]];
}

function increment(bytes: Uint8Array): void {
  for (let at = bytes.length - 1; at >= 0; at--) {
    bytes[at] = (bytes[at]! + 1) & 255;
    if (bytes[at] !== 0) return;
  }
}

export function listChains(): Message {
  return message(NFT_MSG_GETCHAIN, NLM_F_DUMP, []);
}

export function decodeChains(messages: readonly ReceivedMessage[]): { table: string; name: string }[] {
  return messages
    .filter(({ type }) => type === NFT_MSG_NEWCHAIN)
    .map(({ payload }) => {
      const attributes = decodeAttributes(payload, 4);
      const text = (type: number): string => decodeText(attributes.get(type) ?? new Uint8Array());
      return { table: text(1), name: text(3) };
    });
}
