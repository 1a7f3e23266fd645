/** What tsc checks: that the types fit the sources, and say to an application what it expects. */

import * as source from "../src/index.js";
import type * as declared from "../types/client.js";
import { BEGINNING, RealtimeClient, RealtimeError, newKey } from "@shardlayer/client";

export const fits: typeof declared = source;
export const subscriptionFits = (made: source.Subscription): declared.Subscription<any> => made;

interface Order {
  id: number;
  paid: boolean;
}

const client = new RealtimeClient("/ws/", { token: async () => "t", sentAt: (data, room) => data.t * room.length });

const orders = client.subscribe<Order>("orders", (order, { offset, replayed }) => {
  const paid: boolean = order.paid && replayed;
  const at: number | null = offset;
  // @ts-expect-error an order has no such field
  order.price;
  return void [paid, at];
});

client.subscribe("orders", (order: Order) => order.id, { since: BEGINNING });
client.subscribe("orders", undefined, { since: orders.position });
// @ts-expect-error a position has an epoch
client.subscribe("orders", () => {}, { since: { offset: 3 } });
// @ts-expect-error what is not declared has to be looked at first
client.subscribe("orders", (order) => order.id);

export async function all(): Promise<void> {
  for await (const { data, room } of orders) {
    const id: number = data.id;
    void [id, room];
  }
  const { publications } = await client.history<Order>("orders", { limit: 5 });
  const ids: number[] = publications.map(({ data }) => data.id);
  const own = await client.subscribeToUser<{ text: string }>(({ text }) => text.length);
  own.unsubscribe();
  const { people } = await client.presence("orders");
  const { offset } = await client.publish("orders", { id: people }, { key: newKey(), retryFor: 5_000 });
  void [ids, offset];
}

client.addEventListener("state", ({ detail }) => {
  const { state }: { state: "connecting" | "live" | "behind" | "offline" } = detail;
  const { retryAt }: { retryAt: number | null } = detail;
  // @ts-expect-error it is read only
  detail.lag = 3;
  void [state, retryAt];
});
client.addEventListener("announcement", ({ detail }) => detail.data.text);
orders.addEventListener("gap", ({ detail: { missed } }) => {
  const count: number | null = missed;
  // @ts-expect-error nobody may know how many
  const certain: number = missed;
  void [count, certain];
});
orders.addEventListener("error", ({ detail }) => {
  if (detail instanceof RealtimeError && detail.code === "forbidden") throw detail;
});
// @ts-expect-error there is no such option
new RealtimeClient("/ws/", { hartbeat: 5_000 });

import { useRoom, useStatus } from "@shardlayer/client/react";
import { roomStore, statusStore } from "@shardlayer/client/svelte";
import { useRoom as useVueRoom } from "@shardlayer/client/vue";

export function drawn(): [number, boolean] {
  const newest: Order | undefined = useRoom<Order>(client, "orders").value;
  const { value, missed } = useRoom(client, "orders", {
    initial: [] as Order[],
    reduce: (all, order: Order) => [...all, order],
  });
  useRoom(client, "orders", { state: async (since) => ({ offset: since?.offset ?? 0, epoch: "e" }) });
  useVueRoom(client, "orders", { state: () => fetch("/orders/"), initial: 0, reduce: (sum, order: Order) => sum + order.id });
  roomStore(client, "orders", { state: async () => undefined });
  // @ts-expect-error it loads, and so takes a while
  useRoom(client, "orders", { state: [1, 2] });
  const paid: boolean | undefined = useVueRoom<Order>(client, () => "orders").value.value?.paid;
  roomStore<Order>(client, "orders").subscribe(({ value: last }) => last?.id);
  statusStore(client).subscribe(({ transport }) => transport === "sse");
  void [newest, paid, useStatus(client).state];
  return [value.length, missed];
}
