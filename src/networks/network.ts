// A network: what containers are joined to. Of three sorts: the default bridge, the host's own, none.
// An endpoint is one container's place in one network.
import type { Id } from '../base/id.ts';

export interface Network {
  readonly id: Id;
  readonly name: string;
  readonly driver: 'bridge' | 'host' | 'null';
  readonly createdAt: bigint;
  readonly subnets: readonly { readonly subnet: string; readonly gateway: string }[];
  readonly options: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly internal: boolean;
}

/** Address, gateway and MAC address are empty, and the prefix 0, where the network gives none (host, none). */
export interface Endpoint {
  readonly networkId: Id;
  readonly networkName: string;
  readonly endpointId: Id;
  readonly gateway: string;
  readonly address: string;
  readonly prefixLength: number;
  readonly macAddress: string;
}

/** What a person may choose of an endpoint. */
export interface EndpointRequest {
  readonly macAddress?: string;
}
