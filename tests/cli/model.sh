#!/bin/bash
# motet model as its users meet it: every subcommand, what it prints, its exit status, and bad input.
#   model.sh MOTET        MOTET_RUN="valgrind ..." runs every call under that
set -u
motet=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
cp "$here"/models/{line,other_line,missing_three,split,wrong_declaration,wrong_weights}.onnx .

under=model
. "$here/expect.sh"

# --- usage ---
run 2 "" "usage: motet model"
run 0 "motet model inspect" "" --help
run 2 "" "no command 'sing'" sing
for command in inspect check run compare test bench optimize quantize; do
    run 0 "usage: motet model $command" "" $command --help
    run 2 "" "unrecognized option" $command --sing
    run 2 "" "motet model $command: expected" $command
done
run 1 "" "nowhere.onnx: No such file" inspect nowhere.onnx
run 1 "" "not an ONNX model" inspect "$here/model.sh"

# --- inspect ---
run 0 "^weights    2 parameters in 2 tensors" "" inspect line.onnx
run 0 "^inputs     x  float32\[n,3\]" "" inspect line.onnx
run 0 "^producer   make_models.py" "" inspect line.onnx
for name in Frobnicate Defenestrate Transmogrify; do
    run 1 "1  ai.onnx.$name 17  MISSING" "" inspect missing_three.onnx
done
run 1 "^missing    3 operators" "" inspect missing_three.onnx
run 1 '"missing": 3,' "" inspect --json missing_three.onnx
run 1 "problems   tensor 'two': its shape takes 28 bytes, but 4 are there" "" inspect wrong_weights.onnx

run 0 "columns  sequence of float32" "" inspect split.onnx

# --- check ---
run 0 "line.onnx: sound$" "" check line.onnx
run 0 '"sound": true' "" check --json line.onnx
run 1 "Defenestrate version 17 is missing \(1 node\)" "" check missing_three.onnx
run 1 "'one': external data .*: a path out of the model's folder is not allowed" "" check wrong_weights.onnx
run 1 "'y' is declared as float32\[n,4\], but float32\[1,3\] comes out" "" check wrong_declaration.onnx
run 0 "sound as far as it can be without a run" "" check --no-run wrong_declaration.onnx
run 1 "not an ONNX model" "" check "$here/model.sh"

# --- run ---
run 0 "^y  float32\[2,3\]  min .* max .* mean" "" run --shape x=2x3 line.onnx
run 0 "^y  float32\[1,3\]" "" run line.onnx
cp stdout first
run 0 "^y  float32\[1,3\]" "" run line.onnx
cmp -s stdout first || { failures=$((failures + 1)); echo "FAILED: the same seed, other numbers"; }
run 0 "^y  float32\[1,3\]" "" run --seed 1 line.onnx
cmp -s stdout first && { failures=$((failures + 1)); echo "FAILED: another seed, the same numbers"; }
run 0 "float32\[1,3\]" "" run --output y=y.npy --output y=y.pb line.onnx
run 0 "float32\[1,3\]" "" run --input y.npy --output 2y.npy line.onnx
run 0 '"type": "float32"' "" run --json --input x=y.pb line.onnx
run 0 "^columns\[2\]  float32\[1\]  min" "" run split.onnx
run 0 '"kind": "sequence"' "" run --json split.onnx
run 1 "" "expected float32\[n,3\], got float32\[2,4\]" run --shape 2x4 line.onnx
run 2 "" "--shape 2x: expected sizes" run --shape 2x line.onnx
run 2 "" "--shape -1: expected sizes" run --shape -1 line.onnx
run 2 "" "--seed one: expected a whole number" run --seed one line.onnx
run 1 "" "z=1x3: the model has no such input" run --shape z=1x3 line.onnx
run 1 "" "z=y.npy: the model has no such output" run --output z=y.npy line.onnx
run 1 "" "expected a name that ends in .npy or .pb" run --output y.txt line.onnx
run 1 "" "input 'x': nowhere.npy: No such file" run --input nowhere.npy line.onnx
run 1 "" "are missing" run missing_three.onnx

# --- compare ---
run 0 "^ok    y  cosine 1.0000" "" compare line.onnx line.onnx
run 0 "^ok    y  cosine 1.0000" "" compare --reference line.onnx line.onnx
run 1 "^FAIL  y  cosine .* differ, the worst at \[" "" compare line.onnx other_line.onnx
run 0 "^ok    y" "" compare --min-cosine 0.999 line.onnx other_line.onnx
run 0 "^ok    y" "" compare --max-abs 0.011 line.onnx other_line.onnx
run 1 "largest difference 0.01, allowed 0.009" "" compare --max-abs 0.009 line.onnx other_line.onnx
run 0 "^ok    y" "" compare --input y.npy --expect 2y.npy line.onnx
run 1 '"passed": false' "" compare --json --input y.npy --expect y=y.npy line.onnx
run 2 "" "expected FILE and OTHER" compare line.onnx
run 2 "" "expected one FILE" compare --expect y.npy line.onnx line.onnx

# --- test ---
for name in good bad; do
    mkdir -p tests/$name/test_data_set_0
    cp line.onnx tests/$name/model.onnx
    cp y.pb tests/$name/test_data_set_0/input_0.pb
done
run 0 "float32" "" run --input y.pb --output tests/good/test_data_set_0/output_0.pb line.onnx
cp y.pb tests/bad/test_data_set_0/output_0.pb
run 1 "^ok    tests/good" "" test tests
run 1 '^FAIL  tests/bad: output "y": 3 of 3 differ' "" test --failures tests
run 1 "^1 of 2 cases pass \(50.0 %\)" "" test --here tests
run 0 "^1 of 1 cases pass" "" test --only good tests
run 1 '"passed": 1' "" test --json tests
run 1 "0 of 0" "there are no cases" test --only nothing tests
run 1 "" "nowhere: No such file" test nowhere
echo "own/good" >list
run 0 "^0 lost, 0 gained" "" test --passing list own=tests
echo "own/bad" >>list
run 1 "^LOST  own/bad" "" test --passing list own=tests
run 0 "^1 lost" "" test --passing list --update own=tests
[ "$(grep -v '^#' list)" = own/good ] || { failures=$((failures + 1)); echo "FAILED: the list is not updated"; }
echo "cosine 0.5" >tests/bad/tolerance
run 0 "^2 of 2 cases pass" "" test tests
echo "nonsense" >tests/bad/tolerance
run 1 "tolerance: line 1: .* is no tolerance" "" test tests

# --- optimize ---
# y = 2 x + 1 and the seeds of the fuzzer, which between them have branches, loops, functions and constants.
for name in "$here"/../fuzz/corpus/session/{arithmetic,branches,function,loop,shapes}.onnx line.onnx split.onnx \
    "$root/models/motet-cnn.onnx"; do
    run 0 "^nodes" "" optimize "$name" simple.onnx
    run 0 "sound" "" check simple.onnx
    run 0 "^ok" "" compare "$name" simple.onnx
    run 0 "^nodes" "" optimize --external "$name" apart.onnx
    run 0 "^ok" "" compare "$name" apart.onnx
done
run 0 "MB of it external" "" inspect apart.onnx
rm apart.onnx.data
run 1 "apart.onnx.data\": No such file" "" check apart.onnx
run 1 "3 operators" "" inspect missing_three.onnx
run 0 '"before"' "" optimize --json missing_three.onnx missing_three.onnx
run 1 "1  ai.onnx.Transmogrify 17  MISSING" "" inspect missing_three.onnx
run 1 "" "Is a directory" optimize line.onnx .
run 1 "" "not an ONNX model" optimize "$here/model.sh" never.onnx
[ -e never.onnx ] && { failures=$((failures + 1)); echo "FAILED: half a file"; }

# --- quantize ---
cnn=$root/models/motet-cnn.onnx
run 0 "^layers      70 of 70 quantised" "" quantize --runs 2 "$cnn" int8.onnx
run 0 "sound$" "" check int8.onnx
run 0 "[0-9]+  ai.onnx.DynamicQuantizeLinear" "" inspect int8.onnx
run 0 "^ok .*voices" "" compare --min-cosine 0.99 "$cnn" int8.onnx
run 0 "^layers      0 of 0 quantised" "" quantize --runs 1 int8.onnx again.onnx
run 0 "float .*alone cosine" "" quantize --runs 1 --min-cosine 0.9999 "$cnn" int8.onnx
run 0 "^ok .*voices" "" compare --min-cosine 0.9999 "$cnn" int8.onnx
run 0 '"quantized": false' "" quantize --runs 1 --json --min-cosine 0.9999 "$cnn" int8.onnx
layer=$(sed -n 's/.*"name": "\(.*Conv.*\)",/\1/p' stdout | head -n 1)
run 0 "excluded$" "" quantize --runs 1 --min-cosine 0 --exclude "$layer" --external "$cnn" apart.onnx
run 0 "MB of it external" "" inspect apart.onnx
run 0 "^layers      70 of 70 quantised" "" quantize --runs 1 --calibrate "$root/samples" --samples 6 --method percentile \
    --min-cosine 0 "$cnn" static.onnx
run 0 "[0-9]+  ai.onnx.QuantizeLinear" "" inspect static.onnx
run 0 "^cosine      (1.0|0.99)" "" quantize --runs 1 --calibrate "$root/samples/conversation.flac" --method entropy --min-cosine 0.5 \
    --samples 3 "$cnn" static.onnx
run 0 "^layers      .* quantised" "" quantize --runs 1 --calibrate "$root/samples/conversation.flac" --samples 4 --method min-max \
    --shape input_values=1x4000 --min-cosine 0.9 "$here/models/wav2vec2.onnx" static.onnx
run 1 "" "does not say how many samples" quantize --calibrate "$root/samples" "$here/models/wav2vec2.onnx" never.onnx
run 2 "" "give --calibrate or --input" quantize --method min-max "$cnn" never.onnx
run 2 "" "expected dynamic, min-max" quantize --method hearsay "$cnn" never.onnx
run 1 "" "no sample" quantize --calibrate "$root/models/train" "$cnn" never.onnx
run 1 "" "nowhere" quantize --calibrate nowhere.wav "$cnn" never.onnx
run 1 "" "no layer 'Sing' that could be quantised" quantize --exclude Sing "$cnn" never.onnx
run 2 "" "--min-cosine 2" quantize --min-cosine 2 "$cnn" never.onnx
run 1 "" "no such input" quantize --shape nobody=1 "$cnn" never.onnx
run 1 "" "are missing" quantize missing_three.onnx never.onnx
run 1 "" "Is a directory" quantize "$cnn" .
run 1 "" "not an ONNX model" quantize "$here/model.sh" never.onnx
[ -e never.onnx ] && { failures=$((failures + 1)); echo "FAILED: half a file"; }

# --- bench ---
# Its own memory, not that of who starts it: a shell of 400 MB.
sh -c 'big=$(head -c 400000000 /dev/zero | tr "\\0" a); "$0" model bench --runs 1 --json "$1"' "$motet" "$cnn" >peak.json
cases=$((cases + 1))
awk -F'[:,]' '/peak_rss_mb/ { own = $2 > 1 && $2 < 350 } END { exit !own }' peak.json ||
    { failures=$((failures + 1)); echo "FAILED: the peak is not the program's own: $(cat peak.json)"; }
run 0 "peak memory" "" bench --runs 2 --cache-dir cached "$cnn"
run 0 "peak memory" "" bench --runs 2 --cache-dir cached "$cnn"
run 1 "" "cannot keep packed weights there" bench --runs 2 --cache-dir "$cnn" "$cnn"
run 0 "^7 runs: min .* p50 .* p95 .* p99 .* runs/s" "" bench --runs 7 --threads 1 line.onnx
run 0 "Mul$" "" bench --runs 3 --profile line.onnx
run 0 '"p99_ms": ' "" bench --json --runs 3 --shape x=8x3 line.onnx
run 0 '"calls_per_run": 1.0' "" bench --json --profile --runs 3 line.onnx
run 2 "" "--runs 0: expected a whole number" bench --runs 0 line.onnx
run 1 "" "are missing" bench "$here/models/missing_three.onnx"

# --- the shipped network ---
run 0 "sound$" "" check "$root/models/motet-cnn.onnx"

echo "$((cases - failures)) of $cases calls of motet model as expected"
[ $failures = 0 ]
