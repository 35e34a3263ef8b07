(* The pipeline around the kernel: a record of each event is written before anything happens, and the log alone is
   enough to decide everything again. *)
Require Import Arith NArith List Bool Lia.
Require Import Krux.Tables Krux.Lattice Krux.Exposure Krux.Decide Krux.Session.
Import ListNotations.
Open Scope N_scope.

(* A record: the event with all its inputs, also the time, and what was answered. *)
Record record : Set := Record_ { event_of : event; answered : outcome }.

(* What the world sees of one event, in order. Only a call that is allowed has an effect. *)
Inductive act : Set :=
| Wrote (r : record)
| Did (c : call).

Definition acts (s : state) (e : event) : list act :=
  let told := snd (step s e) in
  Wrote (Record_ e told) ::
  match e, told with
  | ECall _ c, Decided d => match answer d with V_ALLOW => [Did c] | _ => [] end
  | _, _ => []
  end.
Fixpoint pipeline (s : state) (es : list event) : list act :=
  match es with [] => [] | e :: rest => acts s e ++ pipeline (after s e) rest end.

Definition log_of (trace : list act) : list record :=
  flat_map (fun a => match a with Wrote r => [r] | Did _ => [] end) trace.
Definition effects_of (trace : list act) : list call :=
  flat_map (fun a => match a with Did c => [c] | Wrote _ => [] end) trace.
(* The calls that a log says were allowed. *)
Definition allowed_in (log : list record) : list call :=
  flat_map (fun r => match event_of r, answered r with
                     | ECall _ c, Decided d => match answer d with V_ALLOW => [c] | _ => [] end
                     | _, _ => []
                     end) log.

(* Deciding again from the log alone: the state at its end, if every answer is the one that was written. *)
Definition outcome_eq_dec (a b : outcome) : {a = b} + {a <> b}.
Proof. repeat decide equality. Defined.
Fixpoint replay (s : state) (log : list record) : option state :=
  match log with
  | [] => Some s
  | r :: rest => if outcome_eq_dec (snd (step s (event_of r))) (answered r)
                 then replay (after s (event_of r)) rest else None
  end.

Lemma log_of_app : forall a b, log_of (a ++ b) = log_of a ++ log_of b.
Proof. intros. apply flat_map_app. Qed.
Lemma effects_of_app : forall a b, effects_of (a ++ b) = effects_of a ++ effects_of b.
Proof. intros. apply flat_map_app. Qed.

Lemma log_of_acts : forall s e, log_of (acts s e) = [Record_ e (snd (step s e))].
Proof.
  intros s e. unfold acts. cbn [log_of flat_map]. destruct e; auto. destruct (snd _); auto. destruct (answer _); auto.
Qed.

Lemma effects_of_acts : forall s e, effects_of (acts s e) = allowed_in [Record_ e (snd (step s e))].
Proof.
  intros s e. unfold acts, allowed_in. cbn [effects_of flat_map event_of answered]. destruct e; auto.
  destruct (snd _); auto. destruct (answer _); auto.
Qed.

Lemma log_is_history : forall es s, log_of (pipeline s es) = map (fun m => Record_ (what m) (told m)) (history s es).
Proof.
  induction es as [|e es IH]; intros s; auto. cbn [pipeline history map]. now rewrite log_of_app, log_of_acts, IH.
Qed.

Lemma replay_log : forall es s, replay s (log_of (pipeline s es)) = Some (run s es).
Proof.
  induction es as [|e es IH]; intros s; auto. cbn [pipeline run]. rewrite log_of_app, log_of_acts.
  cbn [app replay event_of answered]. destruct (outcome_eq_dec _ _); [apply IH | congruence].
Qed.

Lemma replay_unique : forall log s s', replay s log = Some s' ->
  log = log_of (pipeline s (map event_of log)) /\ s' = run s (map event_of log).
Proof.
  induction log as [|[e o] log IH]; intros s s' H; cbn in H.
  - injection H as <-. auto.
  - destruct (outcome_eq_dec _ _) as [E|]; [|discriminate]. apply IH in H as [H ->].
    cbn [map event_of pipeline run]. rewrite log_of_app, log_of_acts. cbn [app]. rewrite <- H, E. auto.
Qed.

Lemma effects_are_recorded : forall es s, effects_of (pipeline s es) = allowed_in (log_of (pipeline s es)).
Proof.
  induction es as [|e es IH]; intros s; auto. cbn [pipeline]. rewrite effects_of_app, log_of_app, effects_of_acts, IH.
  rewrite log_of_acts. unfold allowed_in. now rewrite flat_map_app.
Qed.

(* A trace cut anywhere, by a crash: the effects in it are a beginning of those that its log allows. *)
Lemma cut_acts : forall s e n, exists rest,
  allowed_in (log_of (firstn n (acts s e))) = effects_of (firstn n (acts s e)) ++ rest.
Proof.
  intros s e n. unfold acts. destruct n as [|n]; [exists []; reflexivity|].
  cbn [firstn log_of effects_of flat_map app]. destruct e; try (exists []; destruct n; reflexivity).
  destruct (snd _) as [d| | |]; try (exists []; destruct n; reflexivity).
  destruct (answer d) eqn:A; try (exists []; destruct n; cbn; now rewrite A).
  destruct n as [|n]; [exists [c] | exists []]; cbn; rewrite A; [reflexivity|]. destruct n; reflexivity.
Qed.

Lemma cut_pipeline : forall es s n, exists rest,
  allowed_in (log_of (firstn n (pipeline s es))) = effects_of (firstn n (pipeline s es)) ++ rest.
Proof.
  induction es as [|e es IH]; intros s n; [exists []; destruct n; reflexivity|].
  cbn [pipeline]. rewrite firstn_app, log_of_app, effects_of_app.
  unfold allowed_in. rewrite flat_map_app. fold (allowed_in (log_of (firstn n (acts s e)))).
  destruct (Nat.le_gt_cases (length (acts s e)) n) as [L|L].
  - rewrite firstn_all2 by assumption. destruct (IH (after s e) (n - length (acts s e))%nat) as [rest R].
    unfold allowed_in in R. rewrite R. exists rest. rewrite app_assoc. f_equal. f_equal.
    rewrite log_of_acts, effects_of_acts. reflexivity.
  - replace (n - length (acts s e))%nat with O by lia. cbn [firstn log_of effects_of flat_map].
    destruct (cut_acts s e n) as [rest R]. exists rest. rewrite !app_nil_r. exact R.
Qed.

(** T23. Replay equals the log: deciding a log again gives every answer it holds and the state that the session had, a log that
    replays could have come from no other run, and at any moment, also at a crash, each effect that happened stands
    in the log before it, in order, as an allowed call. *)
Theorem replay_is_the_log :
  (forall es s, replay s (log_of (pipeline s es)) = Some (run s es)) /\
  (forall log s s', replay s log = Some s' ->
     log = log_of (pipeline s (map event_of log)) /\ s' = run s (map event_of log)) /\
  (forall es s n, exists rest,
     allowed_in (log_of (firstn n (pipeline s es))) = effects_of (firstn n (pipeline s es)) ++ rest).
Proof. exact (conj replay_log (conj replay_unique cut_pipeline)). Qed.

(* The chain of the log: each head is the hash of the head before it and the record's bytes. *)
Section Chain.
Context {head bytes : Type} (hash : head -> bytes -> head).
Definition chain (start : head) (log : list bytes) : head := fold_left hash log start.
Definition collides : Prop := exists h b h' b', (h, b) <> (h', b') /\ hash h b = hash h' b'.
Context (head_eq_dec : forall a b : head, {a = b} + {a <> b}).
Context (bytes_eq_dec : forall a b : bytes, {a = b} + {a <> b}).

Lemma equal_heads : forall log log' start, length log = length log' -> chain start log = chain start log' ->
  log = log' \/ collides.
Proof.
  induction log as [|b log IH] using rev_ind; intros log' start L H.
  - destruct log'; [now left | discriminate].
  - destruct (@exists_last _ log') as (log'' & b' & ->); [intros ->; rewrite app_length in L; simpl in L; lia|].
    unfold chain in *. rewrite !fold_left_app in H. cbn in H. rewrite !app_length in L. simpl in L.
    destruct (head_eq_dec (fold_left hash log start) (fold_left hash log'' start)) as [E|E].
    + destruct (bytes_eq_dec b b') as [->|D].
      * destruct (IH log'' start ltac:(lia) E) as [->|C]; auto.
      * right. exists (fold_left hash log start), b, (fold_left hash log'' start), b'. split; congruence.
    + right. exists (fold_left hash log start), b, (fold_left hash log'' start), b'. split; congruence.
Qed.
End Chain.

(** T23. And the log cannot be exchanged: two logs of the same length with the same head are the same log, or they exhibit a
    collision of the hash. *)
Theorem equal_heads_equal_logs : forall (head bytes : Type) (hash : head -> bytes -> head),
  (forall a b : head, {a = b} + {a <> b}) -> (forall a b : bytes, {a = b} + {a <> b}) ->
  forall log log' start, length log = length log' -> chain hash start log = chain hash start log' ->
  log = log' \/ collides hash.
Proof. intros. eapply equal_heads; eauto. Qed.
