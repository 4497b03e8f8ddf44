// Asks the browser for a passkey and sends its answer with the form.
"use strict";
const form = document.getElementById("ceremony");
const start = document.getElementById("start");
const failed = document.getElementById("failed");

function fail(text) {
  failed.textContent = text;
  failed.hidden = false;
}

async function run() {
  start.disabled = true;
  failed.hidden = true;
  try {
    const options = JSON.parse(form.dataset.options);
    const credential = form.dataset.create === "true"
      ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
      : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
    form.elements.answer.value = JSON.stringify(credential.toJSON());
    form.submit();
  } catch (e) {
    start.disabled = false;
    fail(failed.dataset.failed);
  }
}

if (window.PublicKeyCredential && PublicKeyCredential.parseRequestOptionsFromJSON) {
  start.hidden = false;
  start.addEventListener("click", run);
  run();
} else {
  fail(failed.dataset.unsupported);
}
