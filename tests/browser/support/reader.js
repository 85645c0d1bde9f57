// What others than the sighted and well-lit find on a page: names in the accessibility tree, and contrasts.

/** Roles that mean nothing without a name. */
const NAMED = ["button", "link", "textbox", "searchbox", "combobox", "table", "image", "region", "navigation", "meter"];

/** The elements that a screen reader can only call by their role, and how many have a name. */
export async function namelessControls(page) {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send("Accessibility.getFullAXTree");
  await session.detach();
  const wanted = nodes.filter(({ ignored, role }) => !ignored && NAMED.includes(role?.value));
  const nameless = wanted.filter(({ name }) => !name?.value?.trim()).map(({ role, backendDOMNodeId }) => [role.value, backendDOMNodeId]);
  return { nameless, named: wanted.length - nameless.length };
}

/** Texts whose contrast to what is behind them is less than 4.5 to 1 (WCAG 2.2, 1.4.3), and how many were looked at. */
export function faintTexts(page) {
  return page.evaluate(() => {
    const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const paint = (colours) => {
      pen.clearRect(0, 0, 1, 1);
      for (const colour of colours) {
        pen.fillStyle = colour;
        pen.fillRect(0, 0, 1, 1);
      }
      return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const luminance = (colour) => {
      const [red, green, blue] = colour.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const grounds = (node) => (node ? [...grounds(node.parentElement), getComputedStyle(node).backgroundColor] : ["white"]);
    const contrast = (node) => {
      const behind = grounds(node);
      const [one, other] = [paint(behind), paint([...behind, getComputedStyle(node).color])].map(luminance);
      return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    };
    const hasText = (node) => [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim());
    const isShown = (node) => node.checkVisibility() && !node.closest(".unseen, .skip");
    const texts = [...document.body.querySelectorAll("*")].filter((node) => hasText(node) && isShown(node));
    const faint = texts.filter((node) => contrast(node) < 4.5);
    return { looked: texts.length, faint: faint.map((node) => `${node.textContent.slice(0, 40)}: ${contrast(node).toFixed(2)}`) };
  });
}
