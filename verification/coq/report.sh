#!/usr/bin/env bash
# report.sh BUILD_DIR: what is proved, and from what. BUILD_DIR holds the compiled model.
#
# A theorem is declared as `Theorem`, under a comment `(** T13. What it says, in words. *)`; steps towards it are
# lemmas, witnesses are examples. Prints every theorem with what it rests on, and fails where one rests on
# anything, where a number between 1 and 25 has none, or where a source says a word that proves nothing.
set -euo pipefail

sources="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)"
build="$(cd "$1" && pwd -P)"
closed='Closed under the global context'
last_number=25
failed=0

wrong() {
  printf 'verify coq: %s\n' "$*" >&2
  failed=1
}

# The words that let Coq believe, and those that put OCaml of our own in the place of a definition.
unproved='\b(Admitted|admit|give_up|Axioms?|Parameters?|Conjecture|Hypothes[ie]s|bypass_check|Extract +(Inlined +)?(Constant|Inductive))\b|Unset +(Guard|Positivity|Universe) +Checking'
if grep -nE "$unproved" "$sources"/*.v >&2; then wrong "these lines prove nothing, or replace what is proved"; fi

# Lines `number|module|name|statement`.
theorems() {
  awk '
    FNR == 1 { module = FILENAME; sub(/.*\//, "", module); sub(/\.v$/, "", module); text = "" }
    /^\(\*\* T[0-9]+\. / { text = $0; open = 1 }
    open && !/^\(\*\* T/ { line = $0; sub(/^ +/, " ", line); text = text line }
    open && /\*\)$/ { open = 0; sub(/^\(\*\* T/, "", text); sub(/ *\*\)$/, "", text) }
    /^Theorem / {
      name = $2
      if (text == "") { printf "?|%s|%s|\n", module, name; next }
      number = text; sub(/\..*/, "", number); sub(/^[0-9]+\. /, "", text)
      printf "%s|%s|%s|%s\n", number, module, name, text
      text = ""
    }' "$sources"/*.v | sort -t '|' -k1,1n -s
}

# assumptions FILE: writes <name>.out for each line `module.name` on stdin.
assumptions() {
  local file=$1 theorem
  {
    printf 'Set Printing Width 200.\n'
    while read -r theorem; do
      printf 'Require Krux.%s.\nRedirect "%s" Print Assumptions Krux.%s.\n' "${theorem%%.*}" "$theorem" "$theorem"
    done
  } >"$file.v"
  coqc -q -R "$build" Krux "$file.v" >/dev/null
}

scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

# The check itself, on a proof of nonsense from an axiom: it must see it.
mkdir control
printf 'Axiom nonsense : False.\nTheorem all_is_well : False. Proof. exact nonsense. Qed.\nPrint Assumptions all_is_well.\n' \
  >control/Control.v
if (cd control && coqc -q Control.v) | grep -q "$closed"; then wrong "an axiom goes unseen"; fi

theorems >list
cut -d '|' -f 2,3 --output-delimiter . list | assumptions "$scratch/Assumptions"

while IFS='|' read -r number module name statement; do
  [[ "$number" != '?' ]] || { wrong "$module.v: theorem \`$name\` has no number and no statement in words"; continue; }
  rests_on="$(tr '\n' ' ' <"$module.$name.out")"
  printf 'T%-3s %s.%s: %s\n     %s\n' "$number" "$module" "$name" "${rests_on% }" "$statement"
  [[ "${rests_on% }" == "$closed" ]] || wrong "T$number rests on more than its definitions"
done <list
for ((number = 1; number <= last_number; ++number)); do
  grep -q "^$number|" list || wrong "T$number is not proved"
done

printf '%s theorems and %s witnesses, %s, %s of Coq\n' "$(wc -l <list)" \
  "$(cat "$sources"/*.v | grep -c '^Example ')" \
  "$( ((failed == 0)) && echo 'no assumption' || echo 'NOT all proved')" "$(coqc -print-version | cut -d ' ' -f 1)"
exit "$failed"
