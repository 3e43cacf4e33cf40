// What pages do besides where scripts run: times in the viewer's zone, refreshing until it is paused, and a key for the search.
"use strict";
(() => {
  const EVERY = 5000;
  const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

  function showTimes(root) {
    for (const time of root.querySelectorAll("time[datetime]")) {
      const when = new Date(time.dateTime);
      if (Number.isNaN(when.getTime())) continue;
      time.title = zone.format(when);
      if (time.hasAttribute("data-at")) time.textContent = zone.format(when);
    }
  }

  // What a person has opened or closed stays so.
  function keepOpen(from, to) {
    for (const was of from.querySelectorAll("details[data-key]")) {
      const is = to.querySelector(`details[data-key="${CSS.escape(was.dataset.key)}"]`);
      if (is) is.open = was.open;
    }
  }

  function replace(part, fresh) {
    const at = part.contains(document.activeElement) ? document.activeElement : null;
    // Nobody's typing, selecting or reading is disturbed.
    if (at && at.matches("input, select, textarea")) return;
    if (!document.getSelection().isCollapsed && part.contains(document.getSelection().anchorNode)) return;
    keepOpen(part, fresh);
    showTimes(fresh);
    if (fresh.innerHTML === part.innerHTML) return;
    const places = [...part.querySelectorAll("a, summary, button, [tabindex]")];
    const place = places.indexOf(at);
    part.replaceChildren(...fresh.childNodes);
    if (place >= 0) part.querySelectorAll("a, summary, button, [tabindex]")[place]?.focus({ preventScroll: true });
  }

  async function refresh() {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!(answer.headers.get("content-type") ?? "").startsWith("text/html")) throw new Error("no page");
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    // What was asked for may have gone meanwhile, or never have been right: the page says so. Others that stand between may have
    // pages of their own.
    if (!fresh.getElementById("wrong-now")) throw new Error("no page");
    for (const part of document.querySelectorAll("[data-live]")) {
      const other = fresh.getElementById(part.id);
      if (other) replace(part, other);
    }
  }

  // What a browser remembers for this site, where it may.
  const memory = {
    get: (name) => { try { return localStorage.getItem(name); } catch { return null; } },
    set: (name, value) => { try { localStorage.setItem(name, value); } catch { /* It is forgotten with the page. */ } },
  };

  function sayUnreachable() {
    const badge = document.querySelector("#wrong-now a");
    if (badge) Object.assign(badge, { textContent: "no answer", className: "badge down" });
  }

  function refreshing(button) {
    let paused = memory.get("rosterd.paused") === "yes";
    let running = false;
    const show = () => { button.textContent = paused ? "resume refresh" : "pause refresh"; };
    async function tick() {
      if (paused || running || document.hidden) return;
      running = true;
      await refresh().catch(sayUnreachable);
      running = false;
    }
    button.addEventListener("click", () => {
      paused = !paused;
      memory.set("rosterd.paused", paused ? "yes" : "no");
      show();
      tick();
    });
    button.hidden = false;
    show();
    setInterval(tick, EVERY);
    document.addEventListener("visibilitychange", tick);
  }

  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target instanceof Element && event.target.closest("input, select, textarea, [contenteditable]")) return;
    const search = document.querySelector("input[type=search]");
    if (!search) return;
    event.preventDefault();
    search.focus();
    search.select();
  });

  showTimes(document);
  // On a phone the head is wider than the screen. Widths are those of the last fonts and styles when all is loaded.
  function showCurrent() {
    const current = document.querySelector(".top [aria-current]");
    const list = current?.closest("ul");
    if (!list) return;
    const at = current.getBoundingClientRect(), around = list.getBoundingClientRect();
    list.scrollLeft += at.left + at.width / 2 - around.left - around.width / 2;
  }
  showCurrent();
  addEventListener("load", showCurrent);
  const button = document.getElementById("refresh");
  if (button && document.querySelector("[data-live]")) refreshing(button);
})();
