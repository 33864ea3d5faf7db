// A network: what containers are joined to. Of three sorts: the default bridge, the host's own, none.
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
