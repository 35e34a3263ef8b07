(* The oracle: OCaml's own bool, option, list and pair stand for ours; every number stays the binary number
   that the theorems speak about, at any size. *)
Require Import NArith List.
Require Import Krux.Tables Krux.Lattice Krux.Exposure Krux.Decide Krux.Session Krux.Codec.
Require Import ExtrOcamlBasic.
Extraction Language OCaml.
Extraction "model.ml" step begin decide within meet encode_state decode_state no_ticket words
  verdict_index component_index.
