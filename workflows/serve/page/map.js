// The map: MapLibre GL over our own tiles, two of its maps with a rule between them where something is compared.

const LIBRARY = "/maplibre";
// Zoom of the last tiles that are asked for; closer up these are enlarged.
const DEEPEST = 19;

const MISSING = "The map needs MapLibre GL, which is not here: `./x setup` brings it, or `skysense serve --map-library FOLDER` names a folder with it.";

let loading = null;

/** Adds an element that loads something, and waits for it. */
function fetched(name, properties) {
  return new Promise((done, failed) => {
    const node = Object.assign(document.createElement(name), properties);
    node.addEventListener("load", done);
    node.addEventListener("error", () => { loading = null; node.remove(); failed(new Error(MISSING)); });
    document.head.append(node);
  });
}

/** MapLibre GL, which lies in a folder of the service; without it everything but the map is there. */
function library() {
  loading ??= (async () => {
    await Promise.all([
      fetched("link", { rel: "stylesheet", href: `${LIBRARY}/maplibre-gl.css` }),
      fetched("script", { src: `${LIBRARY}/maplibre-gl-csp.js` }),
    ]);
    // A worker from a file of its own needs no exception from the policy of the page.
    maplibregl.setWorkerUrl(`${LIBRARY}/maplibre-gl-csp-worker.js`);
    return maplibregl;
  })();
  return loading;
}

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Two corners of a box of degrees; one that crosses the antimeridian goes on behind it. */
function corners(bbox) {
  const [west, south, east, north] = bbox.length === 6 ? [bbox[0], bbox[1], bbox[3], bbox[4]] : bbox;
  return [[west, south], [east < west ? east + 360 : east, north]];
}

export class WebMap {
  /** `swiped` hears where the rule between two layers was dragged to. */
  constructor(swiped = () => {}) {
    this.swiped = swiped;
    this.element = document.createElement("div");
    this.element.className = "map";
    this.element.setAttribute("aria-busy", "true");
    this.sources = [null, null];
    this.share = 0.5;
    this.solid = 1;
    this.box = null;
    // The second of MapLibre's maps is made when something is compared for the first time.
    this.sides = [];
    this.ruleNode = this.add("rule");
    this.ruleNode.hidden = true;
    this.placeNode = this.add("place");
    const zoom = this.add("zoom");
    for (const [text, label, by] of [["+", "Closer", 1], ["−", "Farther", -1]]) {
      const button = document.createElement("button");
      button.textContent = text;
      button.setAttribute("aria-label", label);
      button.addEventListener("click", () => this.sides[0]?.map.zoomTo(this.sides[0].map.getZoom() + by));
      zoom.append(button);
    }
    this.ruleNode.addEventListener("pointerdown", (event) => this.ruleNode.setPointerCapture(event.pointerId));
    this.ruleNode.addEventListener("pointermove", (event) => {
      if (!this.ruleNode.hasPointerCapture(event.pointerId)) return;
      const frame = this.element.getBoundingClientRect();
      this.swipe(Math.max(0, Math.min(1, (event.clientX - frame.left) / frame.width)));
      this.swiped(this.share);
    });
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.painted = () => this.draw();
    this.dark.addEventListener("change", this.painted);
    // What is not on the page yet has no size, and a map wants one.
    this.watch = new ResizeObserver(() => this.begin());
    library().then((gl) => {
      this.gl = gl;
      if (!this.ended) this.watch.observe(this.element);
    }, (error) => this.fail(error.message));
  }

  add(name) {
    const node = document.createElement("div");
    node.className = name;
    this.element.append(node);
    return node;
  }

  /** Says why there is no map. */
  fail(message) {
    const node = document.createElement("p");
    node.textContent = message;
    this.element.classList.add("missing");
    this.element.setAttribute("aria-busy", "false");
    this.element.replaceChildren(node);
  }

  end() {
    this.watch.disconnect();
    this.dark.removeEventListener("change", this.painted);
    this.ended = true;
    this.sides.forEach(({ map }) => map.remove());
    this.sides = [];
  }

  /** Shows a box of degrees whole, now or as soon as the map has a size. */
  fit(bbox) {
    this.wanted = bbox;
    this.sides[0]?.map.fitBounds(corners(bbox), { padding: 24, animate: false });
  }

  layers(first, second) { this.sources = [first, second]; this.draw(); }

  outline(bbox) { this.box = bbox; this.draw(); }

  opacity(share) { this.solid = share; this.draw(); }

  swipe(share) { this.share = share; this.cut(); }

  begin() {
    if (this.ended || this.sides.length || !this.element.clientWidth || !this.element.clientHeight) return;
    try {
      this.side(this.wanted ? { bounds: corners(this.wanted), fitBoundsOptions: { padding: 24 } } : {});
    } catch {
      return this.fail("This browser draws no map: it has no WebGL 2, or it is switched off.");
    }
    this.tell();
    this.draw();
  }

  /** Makes one of MapLibre's maps. */
  side(view) {
    const second = this.sides.length > 0;
    const node = document.createElement("div");
    node.className = "layer";
    this.element.insertBefore(node, this.ruleNode);
    const map = new this.gl.Map({
      container: node, style: this.style(this.sides.length), attributionControl: false, maxZoom: DEEPEST + 1,
      dragRotate: false, pitchWithRotate: false, touchPitch: false, fadeDuration: 0,
      locale: { "Map.Title": `${second ? "Map right of the rule" : "Map"}: arrow keys move it, plus and minus zoom` }, ...view,
    });
    map.touchZoomRotate.disableRotation();
    map.keyboard.disableRotation();
    const side = { map, node, ready: false };
    this.sides.push(side);
    map.once("style.load", () => { side.ready = true; this.draw(); });
    map.on("move", () => this.moved(side));
    map.on("idle", () => {
      side.idle = true;
      if (this.sides.every((one) => one.idle)) this.element.setAttribute("aria-busy", "false");
    });
    map.on("error", ({ error }) => { this.placeNode.textContent = `Part of the map cannot be drawn: ${error?.message ?? "the log of the service says why"}`; });
  }

  /** Lets the other map follow. */
  moved(side) {
    if (this.following) return;
    this.busy();
    const other = this.sides.find((one) => one !== side);
    this.following = true;
    other?.map.jumpTo({ center: side.map.getCenter(), zoom: side.map.getZoom() });
    this.following = false;
    this.tell();
  }

  busy() {
    this.element.setAttribute("aria-busy", "true");
    this.sides.forEach((side) => { side.idle = false; side.map.triggerRepaint(); });
  }

  tell() {
    const { map } = this.sides[0];
    const { lng, lat } = map.getCenter();
    this.placeNode.textContent = `${lat.toFixed(4)}°, ${lng.toFixed(4)}°  zoom ${map.getZoom().toFixed(1)}`;
  }

  draw() {
    if (!this.sides.length) return;
    if (this.sources[1] && this.sides.length === 1) {
      const { map } = this.sides[0];
      this.side({ center: map.getCenter(), zoom: map.getZoom() });
    }
    this.sides.forEach((side, index) => { if (side.ready) side.map.setStyle(this.style(index)); });
    this.busy();
    this.cut();
  }

  /** What one of the maps shows: MapLibre finds out what changed. */
  style(index) {
    const tiles = this.sources[index];
    const sources = {}, layers = [{ id: "ground", type: "background", paint: { "background-color": colour("--card") } }];
    if (tiles) {
      sources.tiles = { type: "raster", tiles: [location.origin + tiles], tileSize: 256, maxzoom: DEEPEST };
      // Of a result nothing lies outside of its box.
      if (index === 0 && this.box) sources.tiles.bounds = corners(this.box).flat();
      layers.push({ id: "tiles", type: "raster", source: "tiles", paint: { "raster-opacity": this.solid, "raster-resampling": "nearest", "raster-fade-duration": 0 } });
    }
    if (this.box) {
      const [[west, south], [east, north]] = corners(this.box);
      const ring = [[west, south], [east, south], [east, north], [west, north], [west, south]];
      sources.outline = { type: "geojson", data: { type: "Feature", properties: {}, geometry: { type: "LineString", coordinates: ring } } };
      layers.push({ id: "outline", type: "line", source: "outline", paint: { "line-color": colour("--accent"), "line-width": 2, "line-dasharray": [3, 2] } });
    }
    return { version: 8, sources, layers };
  }

  /** Cuts both layers at the rule. */
  cut() {
    const compares = this.sources[1] != null && this.sides.length > 1;
    const at = `${(this.share * 100).toFixed(2)}%`;
    const rest = `${((1 - this.share) * 100).toFixed(2)}%`;
    const [first, second] = this.sides;
    if (first) first.node.style.clipPath = compares ? `inset(0 ${rest} 0 0)` : "";
    if (second) {
      second.node.hidden = !compares;
      second.node.style.clipPath = `inset(0 0 0 ${at})`;
    }
    this.ruleNode.hidden = !compares;
    this.ruleNode.style.left = at;
  }
}
