RESTORE DATABASE sotto FROM File('restore.tar')
