// Before the first paint, and a file of its own: the content security policy allows no inline script.
(function () {
  var mode = null;
  var language = null;
  try {
    mode = localStorage.getItem('cutline-mode');
    language = localStorage.getItem('cutline-language');
  } catch (error) {
    // Storage may be forbidden; the system's preference stands then.
  }
  var dark = mode === 'dark' || (mode !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.setAttribute('data-theme', dark ? 'dark' : 'light');
  if (language) document.documentElement.lang = language;
})();
