// Makes an element's content what some HTML says, and touches only what differs: what has the
// focus keeps it, what is selected stays selected, and what somebody types in is left alone.

const parser = new DOMParser();

/** Give `element` the content that `html` has. An element is known again by its `data-key`, or by its place. */
export function renew(element, html) {
  if (!element) return;
  const focused = document.activeElement;
  renewChildren(element, parser.parseFromString(html, "text/html").body);
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
}

function keyOf(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.dataset.key : undefined;
}

function isAlike(old, fresh) {
  return old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && keyOf(old) === keyOf(fresh);
}

function renewChildren(parent, fresh) {
  const byKey = new Map();
  for (const child of parent.children) if (keyOf(child)) byKey.set(keyOf(child), child);
  let at = parent.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const known = keyOf(wanted) ? byKey.get(keyOf(wanted)) : undefined;
    if (known && known !== at && isAlike(known, wanted)) {
      parent.insertBefore(known, at);
      at = known;
    }
    if (at && isAlike(at, wanted)) {
      renewNode(at, wanted);
      at = at.nextSibling;
    } else {
      parent.insertBefore(wanted, at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function renewNode(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  if (old.matches("input, textarea, select")) return;
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  for (const { name } of [...old.attributes]) {
    const isOpened = name === "open" && old.nodeName === "DETAILS"; // by who reads it
    if (!isOpened && !fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  renewChildren(old, fresh);
}
