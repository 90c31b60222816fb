// @ts-check
/** The playground: a photo, and a conversation about it. */
import { watchForKeys } from "./account.js";
import * as chat from "./chat.js";
import { choosePhoto, sendPhotoAgain } from "./chosen-photo.js";
import { focusPrompt, watchComposer } from "./composer.js";
import { watchExpectedPrice } from "./expected-price.js";
import { showModels } from "./models.js";
import { element } from "./page.js";
import { watchForPhotos } from "./photo.js";
import { keepClearOf } from "./scroll.js";

watchForKeys(() => {
	// The new key may belong to another account, which does not have the photo.
	chat.keyChanged();
	sendPhotoAgain();
});

watchForPhotos((file) => {
	chat.startAfresh();
	choosePhoto(file);
});

watchComposer({ onAsk: chat.ask, onStop: chat.stop });
watchExpectedPrice(chat.nextRequest);

element("new-conversation", HTMLButtonElement).addEventListener("click", () => {
	chat.startAfresh();
	focusPrompt();
});

keepClearOf(element("photo", HTMLElement), element("ask", HTMLFormElement));
void showModels();
void chat.bringBack();
