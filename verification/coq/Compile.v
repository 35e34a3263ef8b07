(* From the sandbox that is built for a call to what policy knows of it: FootprintOf of runtime/plan.h, over
   rules of which only this is told: what label the tree has, what may be done there, whether the policy
   grants it. *)
Require Import Arith NArith List Bool Lia.
Require Import Krux.Tables Krux.Lattice Krux.Exposure Krux.Decide Krux.Session.
Import ListNotations.
Open Scope N_scope.

Record path_rule : Set := PathRule {
  label : N;       (* legs that reading there takes in *)
  may_read : bool;
  is_granted : bool;
}.
Record spec : Set := Spec {
  path_rules : list path_rule;
  egress_rules : nat;  (* holes in the firewall; without one nothing leaves *)
  execs : bool;
  enforced : N;        (* layers that will be measured *)
}.

Definition read_labels (rules : list path_rule) : N :=
  fold_right (fun r set => N.lor (if may_read r then label r else 0) set) 0 rules.
Definition compiled (s : spec) : footprint := {|
  readable := read_labels (path_rules s);
  network := negb (Nat.eqb (egress_rules s) 0);
  runs_program := execs s;
  within_grants := forallb is_granted (path_rules s);
  layers := enforced s;
|}.

Lemma read_labels_in : forall rules r l, In r rules -> may_read r = true -> has (label r) l = true ->
  has (read_labels rules) l = true.
Proof.
  induction rules as [|x rules IH]; intros r l I R H; [destruct I|]. cbn [read_labels fold_right].
  rewrite has_lor. destruct I as [->|I]; [now rewrite R, H|].
  change (fold_right _ 0 rules) with (read_labels rules). rewrite (IH r l I R H). apply orb_true_r.
Qed.

Lemma allowed_not_denied : forall s c now k, answer (decide s c now) = V_ALLOW -> part s c now k <> V_DENY.
Proof. intros s c now k A D. apply deny_decides in D. congruence. Qed.

Lemma subset_has : forall a b l, subset a b = true -> has a l = true -> has b l = true.
Proof. unfold subset. intros a b l S. apply N.eqb_eq in S. rewrite subset_bits in S. apply S. Qed.

Lemma allowed_fits : forall s c now, answer (decide s c now) = V_ALLOW ->
  within_grants (touches c) = true /\
  (runs_program (touches c) = true -> dimension_code c = code dimension_index D_RUN_EXEC) /\
  subset (footprint_legs (touches c)) (contribution c) = true /\
  subset (required_layers (authority s)) (layers (touches c)) = true.
Proof.
  intros s c now A.
  pose proof (allowed_not_denied s c now C_CONFINEMENT A) as C.
  pose proof (allowed_not_denied s c now C_LIMIT A) as L.
  cbn [part] in C, L. unfold of_confinement in C. unfold of_limit in L.
  destruct (within_grants (touches c)); [|now destruct C]. cbn [negb] in C. split; auto. split; [|split].
  - intros R. rewrite R in C. cbn [andb] in C. apply N.eqb_eq.
    destruct (dimension_code c =? code dimension_index D_RUN_EXEC); [reflexivity | now destruct C].
  - destruct (runs_program (touches c) && _); [now destruct C|].
    destruct (subset (footprint_legs (touches c)) (contribution c)); [reflexivity | now destruct C].
  - destruct (negb (all_le _ _)); [now destruct L|]. destruct (existsb _ _ && _); [now destruct L|].
    destruct (_ || _); [now destruct L|].
    destruct (subset (required_layers (authority s)) (layers (touches c))); [reflexivity | now destruct L].
Qed.

Lemma legs_small : forall f l, has (footprint_legs f) l =
  has (readable f) l || (network f && match l with E_PRIVATE => false | _ => true end).
Proof.
  intros f l. unfold footprint_legs. rewrite has_lor, has_land, all_legs_has, andb_true_r.
  destruct (network f), l; reflexivity.
Qed.

(** T21. What is built says no more than what was judged: if a call with this sandbox is allowed, every label that the sandbox
    can read and every hole in its firewall stand in the call's contribution, and in the session's exposure from then on;
    without untrusted content and a way out in the contribution there is no network; every tree lies inside the
    policy's scopes; a program runs only for run_exec; and every layer that the policy requires is measured. *)
Theorem compile_soundness : forall s c now b, touches c = compiled b -> answer (decide s c now) = V_ALLOW ->
  (forall r l, In r (path_rules b) -> may_read r = true -> has (label r) l = true ->
     has (contribution c) l = true /\ forall es, has (exposure (run (after s (ECall now c)) es)) l = true) /\
  (has (contribution c) E_EXFIL = false \/ has (contribution c) E_UNTRUSTED = false -> egress_rules b = O) /\
  (egress_rules b <> O -> forall es, has (exposure (run (after s (ECall now c)) es)) E_EXFIL = true /\
     has (exposure (run (after s (ECall now c)) es)) E_UNTRUSTED = true) /\
  (forall r, In r (path_rules b) -> is_granted r = true) /\
  (execs b = true -> dimension_code c = code dimension_index D_RUN_EXEC) /\
  (forall i, N.testbit (required_layers (authority s)) i = true -> N.testbit (enforced b) i = true).
Proof.
  intros s c now b T A. destruct (allowed_fits s c now A) as (G & P & F & L). rewrite T in *.
  assert (E : forall l, has (contribution c) l = true ->
    forall es, has (exposure (run (after s (ECall now c)) es)) l = true).
  { intros l H es. apply no_leg_clears. unfold after. cbn [step].
    destruct (recorded_is_gated s c now) as (_ & R & _). specialize (R A).
    destruct (step_call s c now) as [s' d] eqn:S. cbn [fst] in *. rewrite R, has_lor, H. apply orb_true_r. }
  assert (K : forall l, has (footprint_legs (compiled b)) l = true -> has (contribution c) l = true).
  { intros l. now apply subset_has. }
  assert (N : egress_rules b <> O ->
    has (contribution c) E_EXFIL = true /\ has (contribution c) E_UNTRUSTED = true).
  { intros N. assert (M : network (compiled b) = true).
    { cbn [compiled network]. apply negb_true_iff. now apply Nat.eqb_neq. }
    split; apply K; rewrite legs_small, M; apply orb_true_r. }
  repeat split.
  - apply K. rewrite legs_small. cbn [compiled readable]. now rewrite (read_labels_in _ r l).
  - apply E, K. rewrite legs_small. cbn [compiled readable]. now rewrite (read_labels_in _ r l).
  - intros H. destruct (Nat.eq_dec (egress_rules b) O) as [Z|Z]; auto. destruct (N Z). destruct H; congruence.
  - apply E, N, H.
  - apply E, N, H.
  - intros r R. cbn [compiled within_grants] in G. rewrite forallb_forall in G. now apply G.
  - exact P.
  - intros i H. unfold subset in L. apply N.eqb_eq in L. rewrite subset_bits in L. now apply L.
Qed.
