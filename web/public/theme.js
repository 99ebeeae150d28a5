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
  var known = ['en', 'de'];
  var wanted = [language].concat(navigator.languages).map(function (each) {
    return String(each).slice(0, 2);
  });
  // What is painted before the app runs is English: others do not see it, see prerender.ts.
  document.documentElement.lang = wanted.filter(function (each) { return known.indexOf(each) >= 0; })[0] || 'en';

  // Without the app's code, what is painted answers to nobody: say so (see prerender.ts), and begin again when
  // the connection is back.
  function tell() {
    var failed = document.getElementById('failed');
    if (!failed || !failed.hidden) return;
    failed.hidden = false;
    failed.addEventListener('click', function (event) { if (event.target.tagName === 'BUTTON') location.reload(); });
    addEventListener('online', function () { location.reload(); }, { once: true });
  }
  addEventListener('cutline:failed', tell); // from boot.ts; and where that does not arrive itself:
  addEventListener('error', function (event) { if (event.target.tagName === 'SCRIPT') tell(); }, true);
})();
