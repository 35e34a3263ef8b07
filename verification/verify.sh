# shellcheck shell=bash
# ./dev verify [coq|diff|claims]: read by dev, whose functions and variables it uses.

verify_usage() {
  cat <<'TEXT'
usage: ./dev verify [coq|diff|claims] [ARGS…]     without a part: all three
  coq            the model: every theorem with what it assumes
  diff [--seed N] [--events N] [--mutants N | --all] [--fuzz SECONDS]
                 the shipped policy kernel against the model: single steps, random runs, fuzz inputs, mutants
                 (default: seed of the commit, 1000000 events, 25 mutants; --all: every mutant there is)
  claims [--update]
                 what is claimed, and whether it was checked on this very code; --update checks and writes it down
TEXT
}

verify_build() {
  install_packages build test verify
  configure release -DKRUX_TESTS=ON -DKRUX_VERIFY=ON
  build release "$@"
}

verify_coq() {
  [[ $# -eq 0 ]] || die 64 "\`$1\` is not an option of ./dev verify coq"
  verify_build krux_model krux_oracle
  "$root/verification/coq/report.sh" "$root/build/release/verification/coq"
}

# The same commit, the same seed: a red run can be repeated.
commit_seed() {
  local commit
  commit="$(git -C "$root" rev-parse --short=12 HEAD 2>/dev/null)" || commit=1
  printf '%d\n' "0x$commit"
}

verify_diff() {
  local seed events=1000000 mutants=(--count 25) seconds=0 bin="$root/build/release/bin" inputs=() folder
  seed="$(commit_seed)"
  while [[ $# -gt 0 ]]; do
    case "$1" in
      --all) mutants=(--all) ;;
      --seed | --events | --mutants | --fuzz)
        [[ "${2:-}" =~ ^[0-9]+$ ]] || die 64 "$1 needs a number"
        case "$1" in
          --seed) seed=$2 ;;
          --events) events=$2 ;;
          --mutants) if (($2 > 0)); then mutants=(--count "$2"); else mutants=(); fi ;;
          --fuzz) seconds=$2 ;;
        esac
        shift
        ;;
      *) die 64 "\`$1\` is not an option of ./dev verify diff" ;;
    esac
    shift
  done
  verify_build krux_diff krux_oracle
  if ((seconds > 0)); then
    (fuzz_targets=(kernel) && build_fuzzers && fuzz_one "$seconds" kernel) || return 1
  fi
  for folder in "$root/fuzz/corpus/kernel" "$root/build/fuzz/corpus/kernel"; do
    [[ ! -d "$folder" ]] || inputs+=("$folder")
  done
  say "the shipped kernel against its model, seed $seed (repeat it with --seed $seed)"
  "$bin/krux_diff" replay --oracle "$bin/krux_oracle" "$root/verification/diff/regressions" &&
    "$bin/krux_diff" run --oracle "$bin/krux_oracle" --seed "$seed" --events "$events" \
      --regressions "$root/verification/diff/regressions" "${inputs[@]}" || return 1
  [[ ${#mutants[@]} -eq 0 ]] ||
    "$bin/krux_diff" mutants --oracle "$bin/krux_oracle" --source "$root" --seed "$seed" "${mutants[@]}"
}

# The commands of claims that rest on tests: ./dev verify tests PROGRAM…
verify_tests() {
  install_packages build test
  configure release -DKRUX_TESTS=ON
  build release "$@"
  local program
  for program in "$@"; do "$root/build/release/bin/$program" --gtest_brief=1 || return 1; done
}

verify_claims() {
  local what=check
  case "${1:-}" in
    '') ;;
    --update) what=update ;;
    *) die 64 "\`$1\` is not an option of ./dev verify claims" ;;
  esac
  install_packages build
  [[ -f "$root/build/release/build.ninja" ]] || configure release
  build release krux_claims
  [[ "$what" == check ]] || "$root/build/release/bin/krux_claims" update "$root" || return 1
  "$root/build/release/bin/krux_claims" check "$root"
}

verify() {
  local part=${1:-}
  case "$part" in
    coq | diff | claims | tests) shift && "verify_$part" "$@" ;;
    '') verify_coq && verify_diff && verify_claims ;;
    help) verify_usage ;;
    *)
      verify_usage >&2
      exit 64
      ;;
  esac
}
