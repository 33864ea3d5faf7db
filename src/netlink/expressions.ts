// The expressions that rules of nf_tables are made of (linux/netfilter/nf_tables.h, "NFTA_…"): a rule loads values into
// registers, compares them, and ends in a verdict or a translation. Register numbers are NFT_REG_1 = 1 (16 bytes each)
// and NFT_REG32_00 = 8 (4 bytes each, the same memory); the concatenated key 1, 9, 10 is one after another in it.
import { type Attribute, attribute, NLA_F_NESTED, type Parts } from './message.ts';

// enum nft_list_attributes, nft_expr_attributes, nft_data_attributes, nft_verdict_attributes
const NFTA_LIST_ELEM = 1;
const NFTA_EXPR_NAME = 1;
const NFTA_EXPR_DATA = 2;
const NFTA_DATA_VALUE = 1;
const NFTA_DATA_VERDICT = 2;
const NFTA_VERDICT_CODE = 1;
const NFTA_VERDICT_CHAIN = 2;

// enum nft_meta_keys, nft_ct_keys, nft_payload_bases, nft_verdicts, nft_cmp_ops, nft_nat_types
const metaKeys = { mark: 3, iifname: 6, oifname: 7, l4proto: 16, iifkind: 26, oifkind: 27 } as const;
const ctKeys = { state: 0, status: 2, mark: 3 } as const;
const payloadBases = { link: 0, network: 1, transport: 2 } as const;
const verdicts = { drop: 0, accept: 1, jump: -3, goto: -4, return: -5 } as const;
const comparisons = { equal: 0, notEqual: 1 } as const;
const natTypes = { source: 0, destination: 1 } as const;
const NFPROTO_IPV4 = 2;

/** linux/netfilter/nf_conntrack_common.h: bits of ct state as NF_CT_STATE_BIT() makes them, and of ct status. */
export const ctState = { established: 2, related: 4, new: 8 } as const;
export const ctStatus = { destinationTranslated: 0x20 } as const;

/** One expression, as an element of NFTA_RULE_EXPRESSIONS. */
export type Expression = Attribute;
/** What a lookup names: a set of the same table, and its number within the transaction. */
export interface SetReference {
  readonly name: string;
  readonly id: number;
}

/** A nested attribute as nf_tables wants it. */
export function nest(type: number, parts: Parts): Attribute {
  return attribute.nested(type | NLA_F_NESTED, parts);
}

/** NFTA_DATA_VALUE around bytes, in the attribute of a type. */
export function data(type: number, value: Uint8Array): Attribute {
  return nest(type, [attribute.bytes(NFTA_DATA_VALUE, value)]);
}

function expression(name: string, parts: Parts): Expression {
  return nest(NFTA_LIST_ELEM, [attribute.text(NFTA_EXPR_NAME, name), nest(NFTA_EXPR_DATA, parts)]);
}

/** Makers of expressions; each one's registers come last. */
export const match = {
  /** Loads a property of the packet: NFTA_META_KEY, _DREG. */
  meta: (key: keyof typeof metaKeys, to = 1): Expression =>
    expression('meta', [attribute.u32be(2, metaKeys[key]), attribute.u32be(1, to)]),
  /** Loads bytes of a header: NFTA_PAYLOAD_DREG, _BASE, _OFFSET, _LEN. */
  payload: (base: keyof typeof payloadBases, offset: number, length: number, to = 1): Expression =>
    expression('payload', [
      attribute.u32be(1, to),
      attribute.u32be(2, payloadBases[base]),
      attribute.u32be(3, offset),
      attribute.u32be(4, length),
    ]),
  /** Loads a property of the tracked connection: NFTA_CT_KEY, _DREG. */
  ct: (key: keyof typeof ctKeys, to = 1): Expression =>
    expression('ct', [attribute.u32be(2, ctKeys[key]), attribute.u32be(1, to)]),
  /** Loads the type of the destination address (RTN_LOCAL = 2, …): NFTA_FIB_FLAGS = NFTA_FIB_F_DADDR, _RESULT, _DREG. */
  fibDestinationType: (to = 1): Expression =>
    expression('fib', [attribute.u32be(3, 2), attribute.u32be(2, 3), attribute.u32be(1, to)]),
  /** Goes on only if the register holds these bytes, or does not: NFTA_CMP_SREG, _OP, _DATA. */
  compare: (operation: keyof typeof comparisons, value: Uint8Array, from = 1): Expression =>
    expression('cmp', [attribute.u32be(1, from), attribute.u32be(2, comparisons[operation]), data(3, value)]),
  /** Keeps the masked bits of a register: NFTA_BITWISE_SREG, _DREG, _LEN, _MASK, _XOR. */
  mask: (mask: Uint8Array, at = 1): Expression =>
    expression('bitwise', [
      attribute.u32be(1, at),
      attribute.u32be(2, at),
      attribute.u32be(3, mask.length),
      data(4, mask),
      data(5, new Uint8Array(mask.length)),
    ]),
  /** Goes on only if the key is in the set (a map's value is then loaded), or is not: NFTA_LOOKUP_SREG, _DREG, _SET, _SET_ID, _FLAGS. */
  lookup: (set: SetReference, options: { not?: boolean; from?: number; to?: number } = {}): Expression =>
    expression('lookup', [
      attribute.u32be(2, options.from ?? 1),
      ...(options.to === undefined ? [] : [attribute.u32be(3, options.to)]),
      attribute.text(1, set.name),
      attribute.u32be(4, set.id),
      ...(options.not === true ? [attribute.u32be(5, 1)] : []),
    ]),
} as const;

/** Makers of expressions that do something with a packet. */
export const act = {
  counter: (): Expression => expression('counter', []),
  /** Loads bytes: NFTA_IMMEDIATE_DREG, _DATA. */
  load: (value: Uint8Array, to = 1): Expression => expression('immediate', [attribute.u32be(1, to), data(2, value)]),
  /** Ends the rule with a verdict; `chain` for jump and goto. */
  verdict: (code: keyof typeof verdicts, chain?: string): Expression =>
    expression('immediate', [
      attribute.u32be(1, 0),
      nest(2, [
        nest(NFTA_DATA_VERDICT, [
          attribute.u32be(NFTA_VERDICT_CODE, verdicts[code]),
          ...(chain === undefined ? [] : [attribute.text(NFTA_VERDICT_CHAIN, chain)]),
        ]),
      ]),
    ]),
  masquerade: (): Expression => expression('masq', []),
  /** Translates to the address and port that registers hold: NFTA_NAT_TYPE, _FAMILY, _REG_ADDR_MIN, _REG_PROTO_MIN. */
  nat: (type: keyof typeof natTypes, address = 1, port?: number): Expression =>
    expression('nat', [
      attribute.u32be(1, natTypes[type]),
      attribute.u32be(2, NFPROTO_IPV4),
      attribute.u32be(3, address),
      ...(port === undefined ? [] : [attribute.u32be(5, port)]),
    ]),
} as const;

/** Bits of a 32-bit register in the host's order, as ct and mark are kept. */
export function word(value: number): Uint8Array {
  return attribute.u32(0, value).value as Uint8Array;
}
