(* The normalising operator that other tools enforce instead of deciding at each call: where a policy grants
   reading, untrusted content and a way out at once, every way out must be asked for. It stays as a check on
   policy files; kept out of the order, because it is not monotone. *)
Require Import Arith NArith List Bool Lia.
Require Import Krux.Tables Krux.Lattice.
Import ListNotations.
Open Scope N_scope.

(* Which dimensions bring a leg, for any such table. *)
Record legs_table : Type := LegsTable {
  brings_private : dimension -> bool;
  brings_untrusted : dimension -> bool;
  is_way_out : dimension -> bool;
}.

Definition grants (p : policy) (d : dimension) : bool :=
  match level_at (levels p) d with L_NEVER => false | _ => true end.
Definition grants_some (p : policy) (these : dimension -> bool) : bool :=
  existsb (fun d => these d && grants p d) all_dimension.
Definition complete (t : legs_table) (p : policy) : bool :=
  grants_some p (brings_private t) && grants_some p (brings_untrusted t) && grants_some p (is_way_out t).
Definition bits_of (these : dimension -> bool) : N :=
  fold_right (fun d word => N.lor (if these d then N.shiftl 1 (code dimension_index d) else 0) word) 0 all_dimension.
Definition asked (t : legs_table) (p : policy) : N :=
  if complete t p then bits_of (fun d => is_way_out t d && grants p d) else 0.
Definition nu (t : legs_table) (p : policy) : policy := {|
  levels := levels p;
  required_layers := required_layers p;
  obligations := N.lor (obligations p) (asked t p);
  trifecta := trifecta p;
  trusted_action := trusted_action p;
  depth := depth p;
  not_before := not_before p;
  not_after := not_after p;
|}.
Definition normal (t : legs_table) (p : policy) : Prop := nu t p = p.

Definition usual_table : legs_table := {|
  brings_private d := match d with D_READ_FILES | D_GLOB_SEARCH | D_GREP_SEARCH | D_SECRET_READ => true | _ => false end;
  brings_untrusted d := match d with D_WEB_SEARCH | D_WEB_FETCH => true | _ => false end;
  is_way_out d := match d with D_RUN_EXEC | D_GIT_PUSH | D_CREATE_PR | D_MCP_CALL => true | _ => false end;
|}.

Lemma nu_asked : forall t p, asked t (nu t p) = asked t p.
Proof. reflexivity. Qed.

Lemma nu_idempotent : forall t p, nu t (nu t p) = nu t p.
Proof.
  intros t p. unfold nu at 1. rewrite nu_asked. cbn [nu obligations levels required_layers trifecta
    trusted_action depth not_before not_after]. now rewrite <- N.lor_assoc, N.lor_diag.
Qed.

Lemma nu_deflationary : forall t p, nu t p <<= p.
Proof.
  intros t p. apply le_fields. constructor; cbn; unfold level_le, bits_le, mode_le; intros; auto; try lia.
  now rewrite N.lor_spec, H.
Qed.

Lemma normal_asks : forall t p, normal t p <-> bits_le (asked t p) (obligations p).
Proof.
  intros t p. unfold normal, bits_le. split.
  - intros H i B. rewrite <- H. cbn [nu obligations]. rewrite N.lor_spec, B. apply orb_true_r.
  - intros H. unfold nu. replace (N.lor (obligations p) (asked t p)) with (obligations p); [now destruct p|].
    apply N.bits_inj. intros i. rewrite N.lor_spec. specialize (H i).
    destruct (N.testbit (obligations p) i), (N.testbit (asked t p) i); auto.
Qed.

Lemma grants_mono : forall p q d, p <<= q -> grants p d = true -> grants q d = true.
Proof.
  intros p q d H. apply le_fields in H. pose proof (le_levels _ _ H d) as L. unfold grants, level_le in *.
  destruct (level_at (levels p) d), (level_at (levels q) d); simpl in *; auto; lia.
Qed.

Lemma grants_some_mono : forall p q these, p <<= q -> grants_some p these = true -> grants_some q these = true.
Proof.
  intros p q these H G. apply existsb_exists in G as (d & I & E). apply andb_true_iff in E as [A B].
  apply existsb_exists. exists d. rewrite A, (grants_mono p q d H B). auto.
Qed.

Lemma bits_of_spec : forall these d, N.testbit (bits_of these) (code dimension_index d) = these d.
Proof.
  intros these d. unfold bits_of. cbn [all_dimension fold_right]. rewrite !N.lor_spec, N.bits_0.
  assert (B : forall x, N.testbit (if these x then N.shiftl 1 (code dimension_index x) else 0)
    (code dimension_index d) = (code dimension_index x =? code dimension_index d) && these x).
  { intros x. destruct (these x); [|now rewrite N.bits_0, andb_false_r].
    now rewrite N.shiftl_1_l, N.pow2_bits_eqb, andb_true_r. }
  rewrite !B. destruct d; cbn; now rewrite ?orb_false_r.
Qed.

Lemma bits_of_only : forall these i, N.testbit (bits_of these) i = true ->
  exists d, i = code dimension_index d /\ these d = true.
Proof.
  intros these i. unfold bits_of. induction all_dimension as [|x ds IH]; cbn [fold_right].
  - now rewrite N.bits_0.
  - rewrite N.lor_spec. intros H. apply orb_true_iff in H as [H|H]; auto.
    destruct (these x) eqn:E; [|now rewrite N.bits_0 in H]. rewrite N.shiftl_1_l, N.pow2_bits_eqb in H.
    apply N.eqb_eq in H. exists x. auto.
Qed.

(* Ways out that the smaller of two policies grants, the larger one grants as well. *)
Lemma asked_below : forall t p q i, p <<= q -> N.testbit (asked t p) i = true -> N.testbit (asked t q) i = true.
Proof.
  intros t p q i H A. unfold asked in *. destruct (complete t p) eqn:C; [|now rewrite N.bits_0 in A].
  assert (D : complete t q = true).
  { unfold complete in *. rewrite !andb_true_iff in *. destruct C as ((X & Y) & Z).
    repeat split; eapply grants_some_mono; eauto. }
  rewrite D. apply bits_of_only in A as (d & -> & E). rewrite bits_of_spec.
  apply andb_true_iff in E as [E F]. now rewrite E, (grants_mono p q d H F).
Qed.

Lemma normal_meet : forall t p q, normal t p -> normal t q -> normal t (meet p q).
Proof.
  intros t p q P Q. rewrite normal_asks in *. intros i B. cbn [meet obligations]. rewrite N.lor_spec.
  rewrite (P i); auto. eapply asked_below; [apply meet_le_l | exact B].
Qed.

Lemma below_nu : forall t p q, p <<= nu t q -> nu t p <<= nu t q.
Proof. intros t p q H. eapply le_trans; [apply nu_deflationary | exact H]. Qed.

(* Only running programs, and everything. *)
Definition only_exec : policy :=
  {| levels := pack (fun d => match d with D_RUN_EXEC => L_ALWAYS | _ => L_NEVER end); required_layers := 0;
     obligations := 0; trifecta := ask_code; trusted_action := ask_code; depth := 255; not_before := 0;
     not_after := u64_max |}.

Lemma nu_not_monotone : only_exec <<= top /\ ~ (nu usual_table only_exec <<= nu usual_table top).
Proof. split; vm_compute; [reflexivity | discriminate]. Qed.

(** T24. The normalising operator is idempotent and only lowers, policies that are normal stay so under plain meet, and what lies
    below a normalised policy still does when normalised; but it is NOT monotone: only_exec lies below top, and its
    normal form not below top's. *)
Theorem nu_facts :
  (forall t p, nu t (nu t p) = nu t p) /\
  (forall t p, nu t p <<= p) /\
  (forall t p q, normal t p -> normal t q -> normal t (meet p q)) /\
  (forall t p q, p <<= nu t q -> nu t p <<= nu t q) /\
  ~ (forall p q, p <<= q -> nu usual_table p <<= nu usual_table q).
Proof.
  repeat split.
  - exact nu_idempotent.
  - exact nu_deflationary.
  - exact normal_meet.
  - exact below_nu.
  - intros H. destruct nu_not_monotone as [A B]. auto.
Qed.

Example nu_asks_before_ways_out : obligations (nu usual_table top) =
  bits_of (fun d => match d with D_RUN_EXEC | D_GIT_PUSH | D_CREATE_PR | D_MCP_CALL => true | _ => false end).
Proof. reflexivity. Qed.
