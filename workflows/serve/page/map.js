// A map of tiles: drag, wheel, two fingers or keys; two layers with a rule between them. Nothing but our own tiles.

const SIDE = 256;
const DEEPEST = 19;

/** Degrees to the unit square of Web Mercator. */
function project([longitude, latitude]) {
  const clamped = Math.max(-85.05112878, Math.min(85.05112878, latitude));
  const sine = Math.sin((clamped * Math.PI) / 180);
  return [longitude / 360 + 0.5, 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI)];
}

function unproject([x, y]) {
  return [(x - 0.5) * 360, (Math.atan(Math.sinh((0.5 - y) * 2 * Math.PI)) * 180) / Math.PI];
}

export class WebMap {
  /** `swiped` hears where the rule between two layers was dragged to. */
  constructor(swiped = () => {}) {
    this.swiped = swiped;
    this.element = document.createElement("div");
    this.element.className = "map";
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "application");
    this.element.setAttribute("aria-label", "Map: arrow keys move it, plus and minus zoom");
    this.center = [0.5, 0.5];
    this.zoom = 2;
    this.sources = [null, null];
    this.share = 0.5;
    this.box = null;
    this.layerNodes = [0, 1].map(() => this.add("layer"));
    this.outlineNode = this.add("outline");
    this.ruleNode = this.add("rule");
    this.placeNode = this.add("place");
    const zoom = this.add("zoom");
    for (const [text, label, by] of [["+", "Closer", 1], ["−", "Farther", -1]]) {
      const button = document.createElement("button");
      button.textContent = text;
      button.setAttribute("aria-label", label);
      button.addEventListener("click", () => this.zoomBy(by));
      zoom.append(button);
    }
    this.pointers = new Map();
    this.element.addEventListener("pointerdown", (event) => this.down(event));
    this.element.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) this.element.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    this.element.addEventListener("wheel", (event) => { event.preventDefault(); this.zoomBy(event.deltaY < 0 ? 0.5 : -0.5, event); }, { passive: false });
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.watch = new ResizeObserver(() => this.settle());
    this.watch.observe(this.element);
  }

  add(name) {
    const node = document.createElement("div");
    node.className = name;
    this.element.append(node);
    return node;
  }

  end() { this.watch.disconnect(); }

  get size() { return [this.element.clientWidth, this.element.clientHeight]; }

  get scale() { return SIDE * 2 ** this.zoom; }

  /** Shows a box of degrees whole, now or as soon as the map has a size. */
  fit(bbox) {
    this.wanted = bbox?.length === 6 ? [bbox[0], bbox[1], bbox[3], bbox[4]] : bbox;
    this.settle();
  }

  settle() {
    const [width, height] = this.size;
    if (this.wanted && width && height) {
      const [west, north] = project([this.wanted[0], this.wanted[3]]);
      const [east, south] = project([this.wanted[2] + (this.wanted[2] < this.wanted[0] ? 360 : 0), this.wanted[1]]);
      this.center = [(west + east) / 2, (north + south) / 2];
      const room = Math.min(width / Math.max(east - west, 1e-9), height / Math.max(south - north, 1e-9)) * 0.9;
      this.zoom = Math.max(0, Math.min(DEEPEST, Math.log2(room / SIDE)));
      this.wanted = null;
    }
    this.draw();
  }

  layers(first, second) { this.sources = [first, second]; this.layerNodes.forEach((node) => node.replaceChildren()); this.draw(); }

  outline(bbox) { this.box = bbox?.length === 6 ? [bbox[0], bbox[1], bbox[3], bbox[4]] : bbox; this.draw(); }

  opacity(share) { this.layerNodes.forEach((node) => (node.style.opacity = share)); }

  swipe(share) { this.share = share; this.draw(); }

  zoomBy(by, event) {
    const [width, height] = this.size;
    const frame = this.element.getBoundingClientRect();
    const [x, y] = event ? [event.clientX - frame.left - width / 2, event.clientY - frame.top - height / 2] : [0, 0];
    const before = this.scale;
    this.zoom = Math.max(0, Math.min(DEEPEST, this.zoom + by));
    this.center = [this.center[0] + x / before - x / this.scale, this.center[1] + y / before - y / this.scale];
    this.draw();
  }

  moveBy(x, y) {
    this.center = [this.center[0] - x / this.scale, Math.max(0, Math.min(1, this.center[1] - y / this.scale))];
    this.draw();
  }

  down(event) {
    if (event.target.closest("button")) return;
    this.drags = event.target === this.ruleNode;
    this.element.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    if (this.drags) {
      const frame = this.element.getBoundingClientRect();
      this.swipe(Math.max(0, Math.min(1, (event.clientX - frame.left) / frame.width)));
      this.swiped(this.share);
      return;
    }
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId);
    if (others.length) {
      const [, fixed] = others[0];
      const span = ([x, y]) => Math.hypot(x - fixed[0], y - fixed[1]);
      this.zoomBy(Math.log2(span(now) / Math.max(1, span(before))), { clientX: fixed[0], clientY: fixed[1] });
    } else {
      this.moveBy(now[0] - before[0], now[1] - before[1]);
    }
    this.pointers.set(event.pointerId, now);
  }

  key(event) {
    const step = 64;
    const moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (moves[event.key]) this.moveBy(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoomBy(1);
    else if (event.key === "-") this.zoomBy(-1);
    else return;
    event.preventDefault();
  }

  draw() {
    const [width, height] = this.size;
    if (!width || !height) return;
    const level = Math.max(0, Math.min(DEEPEST, Math.round(this.zoom)));
    const count = 2 ** level;
    const side = this.scale / count;
    const left = this.center[0] * this.scale - width / 2;
    const top = this.center[1] * this.scale - height / 2;
    this.layerNodes.forEach((node, index) => this.fill(node, this.sources[index], { level, count, side, left, top, width, height }));
    const cut = Math.round(width * this.share);
    const compares = this.sources[1] != null;
    this.layerNodes[0].style.clipPath = compares ? `inset(0 ${width - cut}px 0 0)` : "";
    this.layerNodes[1].style.clipPath = compares ? `inset(0 0 0 ${cut}px)` : "";
    this.ruleNode.style.display = compares ? "" : "none";
    this.ruleNode.style.left = `${cut}px`;
    if (this.box) {
      const [west, north] = project([this.box[0], this.box[3]]).map((part) => part * this.scale);
      const [east, south] = project([this.box[2] + (this.box[2] < this.box[0] ? 360 : 0), this.box[1]]).map((part) => part * this.scale);
      Object.assign(this.outlineNode.style, { left: `${west - left}px`, top: `${north - top}px`, width: `${east - west}px`, height: `${south - north}px`, display: "" });
    } else {
      this.outlineNode.style.display = "none";
    }
    const [longitude, latitude] = unproject(this.center);
    this.placeNode.textContent = `${latitude.toFixed(4)}°, ${longitude.toFixed(4)}°  zoom ${this.zoom.toFixed(1)}`;
  }

  fill(node, source, { level, count, side, left, top, width, height }) {
    const kept = new Map([...node.children].map((image) => [image.dataset.tile, image]));
    const shown = new Set();
    if (source) {
      for (let y = Math.max(0, Math.floor(top / side)); y <= Math.min(count - 1, Math.floor((top + height) / side)); y++) {
        for (let x = Math.floor(left / side); x <= Math.floor((left + width) / side); x++) {
          // West of the date line the world begins again.
          const column = ((x % count) + count) % count;
          const tile = `${level}/${x}/${y}`;
          shown.add(tile);
          let image = kept.get(tile);
          if (!image) {
            image = document.createElement("img");
            image.alt = "";
            image.draggable = false;
            image.dataset.tile = tile;
            image.addEventListener("error", () => (image.style.visibility = "hidden"));
            image.src = source.replace("{z}", level).replace("{x}", column).replace("{y}", y);
            node.append(image);
          }
          // Half a pixel of overlap hides the seams of fractional zooms.
          Object.assign(image.style, { left: `${x * side - left}px`, top: `${y * side - top}px`, width: `${side + 0.5}px`, height: `${side + 0.5}px` });
        }
      }
    }
    for (const [tile, image] of kept) if (!shown.has(tile)) image.remove();
  }
}
