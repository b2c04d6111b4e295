"""Every failure has a name, what was measured, and the text so far; a refused call was tried again."""

import sys

from ollameter import ConnectionFailed, ModelNotFound, OllamaProvider, OllameterError, Timeout, Timeouts

QUESTION = [{"role": "user", "content": "Say hello."}]


def ask(llm: OllamaProvider, model: str) -> None:
    try:
        text, metrics = llm.chat(QUESTION, model, options={"num_predict": 16})
        print(f"{text!r} at attempt {metrics.attempts}")
    except ModelNotFound as error:
        print(f"no such model: {error}")
    except ConnectionFailed as error:
        print(f"no connection ({error.error_type}) in {error.attempts} attempts")
    except Timeout as error:
        print(f"too slow: {error.phase}")
    except OllameterError as error:
        print(f"{error.error_type} after {error.partial_text!r}: {error.metrics}")


def main(model: str) -> None:
    with OllamaProvider() as llm:
        ask(llm, model)
        ask(llm, "no-such-model")
    with OllamaProvider(timeout=Timeouts(first_byte=0.001)) as hurried:
        ask(hurried, model)
    with OllamaProvider("http://127.0.0.1:9", retries=1) as nobody:
        ask(nobody, model)


if __name__ == "__main__":
    main(sys.argv[1])
