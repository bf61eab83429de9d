"""passages → a draft of an answer. ``extractive`` quotes whole sentences, ``chat_model`` lets a language model write; neither is
shown before ``ragbot.verifying`` has passed it."""
