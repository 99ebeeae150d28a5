// Runs before the first paint. A separate file, because the content security policy forbids inline scripts.
(function () {
  var mode = null;
  var language = null;
  try {
    mode = localStorage.getItem('cutline-mode');
    language = localStorage.getItem('cutline-language');
  } catch (error) {
    // Storage may be blocked; use the system preference.
  }
  var dark = mode === 'dark' || (mode !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.setAttribute('data-theme', dark ? 'dark' : 'light');
  var known = ['en', 'de'];
  var wanted = [language].concat(navigator.languages).map(function (each) {
    return String(each).slice(0, 2);
  });
  // The prerendered text is English and hidden for other languages (see prerender.ts).
  document.documentElement.lang = wanted.filter(function (each) { return known.indexOf(each) >= 0; })[0] || 'en';

  // If the app's code does not load, show a message (see prerender.ts) and reload when the connection is back.
  function showFailure() {
    var failed = document.getElementById('failed');
    if (!failed || !failed.hidden) return;
    failed.hidden = false;
    failed.addEventListener('click', function (event) { if (event.target.tagName === 'BUTTON') location.reload(); });
    addEventListener('online', function () { location.reload(); }, { once: true });
  }
  addEventListener('cutline:failed', showFailure); // sent by boot.ts; the next line covers boot.ts itself
  addEventListener('error', function (event) { if (event.target.tagName === 'SCRIPT') showFailure(); }, true);
})();
