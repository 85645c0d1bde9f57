// The form that sends a test event, as a back end would.

import { byId, clock } from "./elements.js";

export class Publish {
  #live;

  constructor(live) {
    this.#live = live;
    byId("publish-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
  }

  async #send() {
    const [app, channel, event, data] = ["app", "channel", "event", "data"].map((name) => byId(`publish-${name}`).value);
    const result = byId("publish-result");
    result.className = "";
    try {
      await this.#live.ask({ type: "publish", app, channel: channel.trim(), event: event.trim(), data });
      result.textContent = `Sent ${event.trim()} to ${channel.trim()} at ${clock(Date.now())}.`;
    } catch (failure) {
      result.className = "problem";
      result.textContent = `Not sent: ${failure.message}`;
    }
  }
}
