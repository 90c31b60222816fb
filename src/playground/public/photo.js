// @ts-check
/** The ways to choose a photo: file dialog, drop, paste, sample. */
import { element, say } from "./page.js";

const drop = element("drop", HTMLElement);
const input = element("file", HTMLInputElement);
const shown = element("shown", HTMLImageElement);

/** @param {(file: File) => void} onPhoto */
export function watchForPhotos(onPhoto) {
	input.addEventListener("change", () => {
		const [file] = input.files ?? [];
		input.value = ""; // so that the same file can be chosen again
		if (file) onPhoto(file);
	});

	// The whole page takes drops. Otherwise a drop outside the frame would open the file in place of
	// the page.
	addEventListener("dragover", (event) => {
		if (!event.dataTransfer?.types.includes("Files")) return;
		event.preventDefault();
		drop.dataset.over = "";
	});
	addEventListener("dragleave", (event) => {
		if (event.relatedTarget === null) delete drop.dataset.over;
	});
	addEventListener("drop", (event) => {
		delete drop.dataset.over;
		const [file] = event.dataTransfer?.files ?? [];
		if (!file) return;
		event.preventDefault();
		onPhoto(file);
	});

	addEventListener("paste", (event) => {
		const [file] = event.clipboardData?.files ?? [];
		if (!file) return;
		event.preventDefault();
		onPhoto(file);
	});

	for (const button of document.querySelectorAll("[data-sample]")) {
		button.addEventListener("click", async () => {
			const name = `${/** @type {HTMLElement} */ (button).dataset.sample}.jpg`;
			try {
				const response = await fetch(`/playground/samples/${name}`);
				const photo = await response.blob();
				onPhoto(new File([photo], name, { type: "image/jpeg" }));
			} catch {
				say(
					element("photo-problem", HTMLElement),
					"The sample did not load. Check the connection, then try again.",
				);
			}
		});
	}
}

/** @param {File | null} file */
export function showPhoto(file) {
	if (shown.src) URL.revokeObjectURL(shown.src);
	shown.hidden = file === null;
	if (file === null) shown.removeAttribute("src");
	else shown.src = URL.createObjectURL(file);
	drop.dataset.state = file === null ? "empty" : "shown";
}

// A file that is not a photo has no preview. The upload reports the problem.
shown.addEventListener("error", () => {
	shown.hidden = true;
});
