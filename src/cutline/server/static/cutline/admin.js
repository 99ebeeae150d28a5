// Without 'unsafe-inline', browsers ignore a style attribute that a script sets as text; they take the same
// text as the element's style.
const setAttribute = Element.prototype.setAttribute;
Element.prototype.setAttribute = function (name, value) {
  if (name === 'style') this.style.cssText = value;
  else setAttribute.call(this, name, value);
};
htmx.config.includeIndicatorStyles = false;
