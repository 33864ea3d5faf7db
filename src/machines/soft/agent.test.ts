import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Console } from '../../devices/virtio/console.ts';
import { Agent } from './agent.ts';

function connected(): { agent: Agent; said: () => string } {
  const agent = new Agent();
  let text = '';
  const send = (_port: number, bytes: Uint8Array): number => {
    text += new TextDecoder().decode(bytes);
    return bytes.length;
  };
  agent.connect({ connect: () => undefined, send } as unknown as Console);
  return { agent, said: () => text };
}

describe('Agent', () => {
  it('asks nobody who does not listen', () => {
    const { agent, said } = connected();
    assert.equal(agent.askPowerOff(), false);
    agent.port.opened!(true);
    assert.equal(agent.askPowerOff(), true);
    agent.port.opened!(false);
    assert.equal(agent.askPowerOff(), false);
    assert.equal(said(), 'poweroff\n');
  });
  it('tells the size when it changes, and to who begins to listen; none that is unknown', () => {
    const { agent, said } = connected();
    agent.port.opened!(true);
    agent.setSize(0, 0);
    agent.setSize(24, 80);
    agent.port.opened!(false);
    agent.setSize(50, 132);
    agent.port.opened!(true);
    assert.equal(said(), 'size 24 80\nsize 50 132\n');
  });
});
