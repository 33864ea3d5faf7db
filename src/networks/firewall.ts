// holm's one nftables table. Its rules never change with what runs: bridges and subnets are elements of sets, so that a
// change is an element. An "accept" here ends only this table's chain: what the host's own tables drop stays dropped.
import { act, ctState, ctStatus, match, word } from '../netlink/expressions.ts';
import type { Message } from '../netlink/message.ts';
import {
  addElements,
  addRule,
  createChain,
  createSet,
  createTable,
  type NamedSet,
  priorities,
  removeTable,
  transaction,
} from '../netlink/nftables.ts';
import { lastOf, type Subnet, toText } from './subnet.ts';

export interface FirewalledBridge {
  readonly name: string;
  readonly subnet: Subnet;
}

/** The chain that keeps a host from routing for others, made if it was holm that switched forwarding on. */
export const routerChain = 'router';

/** Kinds of links that lead out of the host as a network card does. */
const uplinkKinds = ['bond', 'macvlan', 'team', 'vlan'];

/** The table's name for a daemon with this default bridge: "holm" for "holm0". */
export function tableFor(bridge: string): string {
  return bridge === 'holm0' ? 'holm' : `holm-${bridge}`;
}

/**
 * One transaction that replaces the table by its right content. `guardRouting`: what comes in by one network card and
 * would leave by another is dropped, as it was before forwarding was switched on for holm's sake.
 */
export function firewall(table: string, bridges: readonly FirewalledBridge[], guardRouting: boolean): Message[] {
  const bridgeSet: NamedSet = { table, name: 'bridges', id: 1, key: ['ifname'] };
  const within: NamedSet = { table, name: 'within', id: 2, key: ['ifname', 'ifname'] };
  const subnets: NamedSet = { table, name: 'subnets', id: 3, key: ['ipv4_addr'], interval: true };
  return transaction([
    createTable(table),
    removeTable(table), // the one there was; the first message makes sure that there is one
    createTable(table),
    createSet(bridgeSet),
    createSet(within),
    createSet(subnets),
    addElements(
      bridgeSet,
      bridges.map(({ name }) => ({ key: [name] })),
    ),
    addElements(
      within,
      bridges.map(({ name }) => ({ key: [name, name] })),
    ),
    addElements(
      subnets,
      bridges.map(({ subnet }) => ({ key: [toText(subnet.first)], last: [toText(lastOf(subnet))] })),
    ),
    ...forwardChain(table, bridgeSet, within),
    createChain({
      table,
      name: 'postrouting',
      base: { type: 'nat', hook: 'postrouting', priority: priorities.srcnat },
    }),
    // What leaves holm's networks goes out under the host's own address.
    addRule(table, 'postrouting', [
      match.meta('oifname'),
      match.lookup(bridgeSet, { not: true }),
      match.payload('network', 12, 4), // source address (RFC 791 §3.1)
      match.lookup(subnets),
      act.masquerade(),
    ]),
    ...(guardRouting ? guard(table) : []),
  ]);
}

/** What may pass through the host to and from bridges; the first rule that fits decides. */
function forwardChain(table: string, bridges: NamedSet, within: NamedSet): Message[] {
  const name = 'forward';
  const toBridge = [match.meta('oifname'), match.lookup(bridges)];
  const fromBridge = [match.meta('iifname'), match.lookup(bridges)];
  const has = (key: 'state' | 'status', bits: number) => [
    match.ct(key),
    match.mask(word(bits)),
    match.compare('notEqual', word(0)),
  ];
  return [
    createChain({ table, name, base: { type: 'filter', hook: 'forward', priority: priorities.filter } }),
    // Answers.
    addRule(table, name, [...toBridge, ...has('state', ctState.established | ctState.related), act.verdict('accept')]),
    // Within one bridge: seen here only where bridged frames are filtered too (net.bridge.bridge-nf-call-iptables).
    addRule(table, name, [
      match.meta('iifname', 1),
      match.meta('oifname', 2),
      match.lookup(within),
      act.verdict('accept'),
    ]),
    // Networks are apart from each other.
    addRule(table, name, [...fromBridge, ...toBridge, act.verdict('drop')]),
    // From elsewhere only to published ports, which are translated.
    addRule(table, name, [...toBridge, ...has('status', ctStatus.destinationTranslated), act.verdict('accept')]),
    addRule(table, name, [...toBridge, act.verdict('drop')]),
  ];
}

/** Drops from network card to network card. A card has no kind, so that a rule on its kind does not fit. */
function guard(table: string): Message[] {
  const uplinks: NamedSet = { table, name: 'uplinks', id: 4, key: ['ifname'] };
  return [
    createSet(uplinks),
    addElements(
      uplinks,
      uplinkKinds.map((kind) => ({ key: [kind] })),
    ),
    createChain({ table, name: routerChain, base: { type: 'filter', hook: 'forward', priority: priorities.filter } }),
    ...(['iifkind', 'oifkind'] as const).map((kind) =>
      addRule(table, routerChain, [match.meta(kind), match.lookup(uplinks, { not: true }), act.verdict('accept')]),
    ),
    addRule(table, routerChain, [act.verdict('drop')]),
  ];
}
