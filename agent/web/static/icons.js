/* Hands, drawn with round strokes on a field of 48 x 48; they take the colour of the text. */

const SVG = "http://www.w3.org/2000/svg";

/* [d, width of the stroke, "gap": in the colour behind, "body": filled too] */
const STROKES = {
  stop: [
    ["M15.5 27V15M21.4 26V9.5M27.3 26V10.5M33.2 28V16", 4.7],
    ["M10.2 30.2L15.5 36", 4.9],
    ["M18.6 29.6H29.8Q30.2 29.6 30.2 30V33.5Q30.2 38 26 38H22.6Q19.6 38 18.6 35Z", 6.6, "body"],
  ],
  fist: [
    ["M15.6 25V19.4M21.3 25V17.6M27 25V17.6M32.7 25V19.4", 5],
    ["M17.2 28.5H31.2V31Q31.2 36.6 26 36.6H22Q17.2 36.6 17.2 31Z", 8, "body"],
    ["M14.5 29H26.5", 8, "gap"],
    ["M14.5 29H26.5", 5],
  ],
  thumbs_up: [
    ["M19.4 25.5L23.6 11.5", 6.4],
    ["M21 25.5H31.5Q33.5 25.5 33.5 27.5V32Q33.5 36.5 29 36.5H21Z", 7.2, "body"],
    ["M26.5 28.4H38M26.5 33.6H38", 1.8, "gap"],
    ["M11.4 25.6V38", 5.2],
  ],
  ok: [
    ["M17.4 18.6a6.3 6.3 0 1 0 .1 0Z", 4.5],
    ["M27 27.5L28.6 10M32 29L36.2 13.6M35 33L41.2 21", 4.5],
    ["M24.4 33.2L31.5 31Q33.5 31 32.6 34Q30.5 39.5 25.4 38.8Q22 38 21.8 36.2Z", 5.4, "body"],
  ],
  two: [
    ["M20.4 25L16.4 9.8M27.6 25L32.2 9.8", 5],
    ["M19 29H29.8V31Q29.8 36.8 25.2 36.8H23.4Q19 36.8 19 31Z", 8, "body"],
    ["M16.4 29.4H27", 8, "gap"],
    ["M16.4 29.4H27", 5],
  ],
  nobody: [["M24 15a5.4 5.4 0 1 0 .1 0ZM14.5 35.5q0-7.5 9.5-7.5t9.5 7.5", 3]],
  "no gesture": [["M15 24h.01M24 24h.01M33 24h.01", 4.6]],
};

export function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/* SVG group of a gesture; those without an icon show their first letter. */
export function glyph(gesture) {
  const strokes = STROKES[gesture];
  const group = svg("g", { class: "glyph" });
  if (!strokes) {
    const letter = svg("text", { x: 24, y: 33, "text-anchor": "middle", class: "glyph-letter" });
    letter.textContent = (gesture || "?")[0].toUpperCase();
    group.append(letter);
    return group;
  }
  for (const [d, width, kind = "stroke"] of strokes) {
    group.append(svg("path", { d, "stroke-width": width, class: `glyph-${kind}` }));
  }
  return group;
}

export function icon(gesture) {
  return svg("svg", { viewBox: "6 6 36 36", class: "icon", "aria-hidden": "true" }, glyph(gesture));
}

/* `thumbs_up` as plain words. */
export function words(gesture) {
  return gesture.replaceAll("_", " ");
}

export function title(gesture) {
  return gesture[0].toUpperCase() + words(gesture).slice(1);
}
