// Two measures of WCAG 2.2 AA, run inside the page: contrast (1.4.3) and target size (2.5.8), over the widget's shadow tree,
// or over the whole page where it carries no widget.

/** Visible text whose contrast with what lies behind it is too low. @returns {string[]} */
export function contrastFailures() {
  /** @param {string} text @returns {number[]} */
  const rgba = (text) => {
    const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    canvas.fillStyle = text;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (/** @type {number[]} */ color) => {
    const [r, g, b] = color.map((value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (/** @type {Element | null} */ node) => {
    for (let at = node; at !== null; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  const failures = [];
  const hosts = [...document.querySelectorAll('passerelle-talk')];
  for (const root of hosts.length > 0 ? hosts.map((host) => host.shadowRoot) : [document.body]) {
    for (const node of root.querySelectorAll('*')) {
      const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim() !== '');
      if (!own || !node.checkVisibility({ visibilityProperty: true }) || node.closest('.unseen, .spoken')) continue;
      const style = getComputedStyle(node);
      const [light, dark] = [luminance(rgba(style.color)), luminance(behind(node))].sort((a, b) => b - a);
      const ratio = (light + 0.05) / (dark + 0.05);
      const size_px = parseFloat(style.fontSize);
      const large = size_px >= 24 || (size_px >= 18.66 && Number(style.fontWeight) >= 700);
      if (ratio < (large ? 3 : 4.5)) failures.push(`${node.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
    }
  }
  return failures;
}

/** Visible buttons and choices smaller than 24 by 24 px. @returns {string[]} */
export function targetsTooSmall() {
  const small = [];
  const hosts = [...document.querySelectorAll('passerelle-talk')];
  for (const root of hosts.length > 0 ? hosts.map((host) => host.shadowRoot) : [document.body]) {
    for (const node of root.querySelectorAll('button, input, a')) {
      if (!node.checkVisibility({ visibilityProperty: true })) continue;
      const { width, height } = node.getBoundingClientRect();
      if (width < 24 || height < 24) small.push(`${node.textContent || node.getAttribute('value')}: ${width} × ${height}`);
    }
  }
  return small;
}
