// The route table of the whole API. Of two rows that fit a request the earlier wins, so literal paths stand first.
import { archiveRoutes } from './archive.ts';
import { containerRoutes } from './containers.ts';
import { diskUsageRoutes } from './disk-usage.ts';
import { eventRoutes } from './events.ts';
import { execRoutes } from './exec.ts';
import { holmRoutes } from './holm-routes.ts';
import { imageTransferRoutes } from './image-transfer.ts';
import { imageRoutes } from './images.ts';
import { machineRoutes } from './machines.ts';
import { networkRoutes } from './networks.ts';
import type { Route } from './router.ts';
import { statsRoutes } from './stats.ts';
import { streamRoutes } from './streams.ts';
import { systemRoutes } from './system.ts';
import { unsupportedRoutes } from './unsupported.ts';
import { volumeRoutes } from './volumes.ts';

export const routes: readonly Route[] = [
  ...systemRoutes,
  ...containerRoutes,
  ...streamRoutes,
  ...execRoutes,
  ...archiveRoutes,
  ...statsRoutes,
  ...imageTransferRoutes,
  ...imageRoutes,
  ...volumeRoutes,
  ...networkRoutes,
  ...eventRoutes,
  ...diskUsageRoutes,
  ...holmRoutes,
  ...machineRoutes,
  ...unsupportedRoutes,
];
